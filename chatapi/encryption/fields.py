"""Model fields for secrets: the encrypted text, and the digest by which it is found."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.query_utils import DeferredAttribute

from chatapi.encryption.cipher import decrypt, encrypt, token_digest


class Ciphertext(str):
    """A text as it is stored: encrypted. The database returns this; the attribute of an object decrypts it."""

    __slots__ = ()


class DecryptedAttribute(DeferredAttribute):
    """Decrypts at the first access, so that a row loaded for something else costs nothing."""

    field: EncryptedTextField

    def __get__(self, instance: models.Model | None, cls: Any = None) -> Any:
        if instance is None:
            return self
        value = instance.__dict__.get(self.field.attname, self)
        if value is self:
            value = super().__get__(instance, cls)
        if isinstance(value, Ciphertext):
            value = decrypt(value, self.field.context(instance))
            instance.__dict__[self.field.attname] = value
        return value

    def __set__(self, instance: models.Model, value: Any) -> None:
        instance.__dict__[self.field.attname] = value


class EncryptedTextField(models.TextField):
    """A text that the database stores encrypted; "" is stored as "".

    The ciphertext is bound to its table, its column and the value of the field `bound_to`, which must not change.
    Only `field=""` can be filtered by: a token is found by its digest, see DigestField. `update()` cannot set it.
    """

    descriptor_class = DecryptedAttribute

    def __init__(self, *args: Any, bound_to: str, **options: Any) -> None:
        self.bound_to = bound_to
        super().__init__(*args, **options)

    def deconstruct(self) -> tuple[str, str, Any, dict[str, Any]]:
        name, path, args, options = super().deconstruct()
        return name, path, args, options | {"bound_to": self.bound_to}

    def context_of(self, bound_value: object) -> str:
        """Returns the context of the row with this value of `bound_to`."""
        return f"{self.model._meta.db_table}.{self.column}:{bound_value}"

    def context(self, instance: models.Model) -> str:
        bound_value = getattr(instance, self.bound_to)
        if bound_value is None:
            raise ValueError(f"{self} is bound to {self.bound_to}, which has no value yet.")
        return self.context_of(bound_value)

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> str | None:
        return Ciphertext(value) if value else value

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        """Returns what is stored. A value that was not read since it was loaded is stored as it is."""
        value = model_instance.__dict__.get(self.attname)
        if not value or isinstance(value, Ciphertext):
            return value
        return Ciphertext(encrypt(value, self.context(model_instance)))

    def get_prep_value(self, value: Any) -> Any:
        if isinstance(value, str) and value and not isinstance(value, Ciphertext):
            raise TypeError(f"{self} is encrypted: find a row by its digest, and change it with save().")
        return value


class DigestField(models.CharField):
    """SHA-256 of the EncryptedTextField `of`, by which its row is found; "" if that is empty.

    Saved with the whole row. With `update_fields`, name both fields.
    """

    def __init__(self, *args: Any, of: str, **options: Any) -> None:
        self.of = of
        options.setdefault("max_length", 64)
        options.setdefault("editable", False)
        super().__init__(*args, **options)

    def deconstruct(self) -> tuple[str, str, Any, dict[str, Any]]:
        name, path, args, options = super().deconstruct()
        return name, path, args, options | {"of": self.of}

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        value = model_instance.__dict__.get(self.of)
        if value is not None and not isinstance(value, Ciphertext):
            setattr(model_instance, self.attname, token_digest(value) if value else "")
        return getattr(model_instance, self.attname)

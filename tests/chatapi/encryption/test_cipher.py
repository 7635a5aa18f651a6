"""The cipher, and the model fields that use it."""

import pytest
from django.test import override_settings

from chatapi.encryption.cipher import UnreadableSecret, decrypt, encrypt, is_current, key_id, token_digest
from chatapi.encryption.fields import Ciphertext
from instances import fast_lookup
from instances.models import Instance
from tests.factories import InstanceFactory

OLD, NEW = "o" * 40, "n" * 40


def stored(instance: Instance, column: str = "token") -> str:
    """The text in the database."""
    return str(Instance.objects.values_list(column, flat=True).get(pk=instance.pk))


class TestCipher:
    def test_the_stored_text_differs_each_time_and_decrypts(self) -> None:
        first, second = (encrypt("pässword", "table.column:1") for _ in range(2))
        assert first != second
        assert "ssword" not in first
        assert decrypt(first, "table.column:1") == decrypt(second, "table.column:1") == "pässword"

    def test_it_is_bound_to_its_row(self) -> None:
        sealed = encrypt("secret", "table.column:1")
        with pytest.raises(UnreadableSecret, match=r"table\.column:2.*copied from another row"):
            decrypt(sealed, "table.column:2")

    @pytest.mark.parametrize("at", [-1, 14, 40])
    def test_a_changed_text_is_refused(self, at: int) -> None:
        sealed = encrypt("a secret of some length", "c")
        changed = list(sealed)
        changed[at] = "A" if changed[at] != "A" else "B"
        with pytest.raises(UnreadableSecret):
            decrypt("".join(changed), "c")

    @pytest.mark.parametrize("text", ["", "plain", "v1.", "v1.00000000.", "v1..AAAA", "v2.00000000.AAAA"])
    def test_what_is_no_ciphertext_is_refused(self, text: str) -> None:
        with pytest.raises(UnreadableSecret):
            decrypt(text, "c")

    def test_older_keys_decrypt_and_the_first_encrypts(self) -> None:
        with override_settings(SECRETS_KEY=(OLD,)):
            sealed = encrypt("secret", "c")
        with override_settings(SECRETS_KEY=(NEW, OLD)):
            assert decrypt(sealed, "c") == "secret"
            assert not is_current(sealed)
            assert is_current(encrypt("secret", "c"))
        with override_settings(SECRETS_KEY=(NEW,)), pytest.raises(UnreadableSecret, match=key_id(OLD)):
            decrypt(sealed, "c")

    def test_the_id_of_a_key_is_no_part_of_it(self) -> None:
        assert key_id(OLD) != key_id(NEW)
        assert len(key_id(OLD)) == 8


@pytest.mark.django_db
class TestFields:
    def test_the_database_has_the_ciphertext_and_the_object_the_text(self) -> None:
        instance = InstanceFactory(number=12345, token="0123456789abcdef01234567")
        assert decrypt(stored(instance), "instances_instance.token:12345") == "0123456789abcdef01234567"
        assert Instance.objects.get().token == fast_lookup.by_number(12345).token == instance.token  # type: ignore[union-attr]
        assert Instance.objects.get(token_digest=token_digest(instance.token)) == instance

    def test_a_row_that_is_saved_whole_keeps_what_was_not_read(self) -> None:
        instance = InstanceFactory()
        before = stored(instance), stored(instance, "token_digest")
        Instance.objects.get().save()
        assert (stored(instance), stored(instance, "token_digest")) == before

    def test_a_copy_in_another_row_is_not_decrypted(self) -> None:
        alice, bob = InstanceFactory(), InstanceFactory()
        Instance.objects.filter(pk=bob.pk).update(token=Ciphertext(stored(alice)))
        with pytest.raises(UnreadableSecret):
            _ = Instance.objects.get(pk=bob.pk).token

    def test_no_query_can_have_the_text(self) -> None:
        with pytest.raises(TypeError, match="digest"):
            Instance.objects.filter(token="0123").exists()
        with pytest.raises(TypeError, match=r"save\(\)"):
            Instance.objects.update(token="0123")

    def test_a_deferred_text_is_loaded(self) -> None:
        instance = InstanceFactory()
        assert Instance.objects.defer("token").get().token == instance.token

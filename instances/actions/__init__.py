"""Every change to instances, one function each; import a function from the module that has it."""

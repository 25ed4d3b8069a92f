"""Everything that needs a GPU in one command: build, every test on the device, every benchmark against the peers."""

"""The commands, a module each; `runtara_cli.cli` names them."""

"""The SDK's rules, without files, sockets or clocks of their own. The shell around them reads time and hands it in."""

#!/bin/sh
# Every suite on the host, under the address and undefined-behaviour sanitizers: see main.c.
exec "${BUILD:-build}/host/run"

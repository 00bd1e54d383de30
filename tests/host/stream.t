#!/bin/sh
# Two million operations against the model, a hundred seeds of them: see stream.c.
exec "${BUILD:-build}/host/stream" --total 2000000 --jobs "$(nproc)"

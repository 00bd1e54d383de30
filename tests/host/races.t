#!/bin/sh
# The suites with several threads, under the thread sanitizer: see main.c.
exec "${BUILD:-build}/host-threads/run" page_layouts,tlb,program,races,paging_races

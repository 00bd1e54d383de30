# packages: python3 libpython3.11-testsuite sed
# memory: 512
python3 -m unittest -q test.test_mmap 2>&1 | sed 's/ in [0-9.]*s$//'

# packages: gzip xz-utils zstd coreutils perl-base
# memory: 640
perl -e 'my $x = 1; for (1 .. 65536) { $x = ($x * 69069 + 1) % 4294967296; print pack("N", $x) x 128, "text that repeats " x 28, "12345678" }' >original
ls -s --block-size=1M original | cut -d' ' -f1
sha256sum <original
gzip -1 -k original && gzip -dc original.gz | sha256sum
rm original.gz
xz -0 -k -T1 original && xz -dc original.xz | sha256sum
rm original.xz
zstd -q -1 original && zstd -dcq original.zst | sha256sum

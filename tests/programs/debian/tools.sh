# packages: mawk dash sed grep tar coreutils findutils diffutils make openssl git vim-tiny ruby
# memory: 512
export GIT_AUTHOR_DATE=2001-01-01T00:00:00Z GIT_COMMITTER_DATE=2001-01-01T00:00:00Z GIT_CONFIG_GLOBAL=$PWD/gitconfig
seq 1000 | mawk '{ sum += $1 } END { print sum }'
printf 'one\ntwo\nthree\n' | sed -n '/t/s/t/T/gp' | grep -c T
mkdir -p tree/a/b
for i in $(seq 50); do echo "file $i" >tree/a/$i; done
tar --sort=name --mtime=@0 --owner=0 --group=0 -cf tree.tar tree && tar -tf tree.tar | wc -l
mkdir out && tar -xf tree.tar -C out && diff -r tree out/tree && echo same
find tree -name '*7' | sort | xargs cat | sha1sum
printf 'all: one two\n\t@cat one two\n%%:\n\t@echo made $@ >$@\n' >Makefile
make -j2
openssl dgst -sha512 tree.tar
openssl enc -aes-128-cbc -pbkdf2 -S 0011223344556677 -k secret -in tree.tar | openssl enc -d -aes-128-cbc -pbkdf2 -S 0011223344556677 -k secret | cmp - tree.tar && echo decrypted
printf '[user]\n\tname = Nobody\n\temail = nobody@example.org\n' >gitconfig
git init -q -b main repo && cd repo && cp -r ../tree . && git add . && git commit -qm first && git log --format='%H %s' && git gc -q && git fsck --no-progress
cd ..
printf 'b\na\n' >lines && vim.tiny -es -u NONE -c 'sort' -c 'wq' lines && cat lines
ruby -e 'puts (1..10).map { |n| n * n }.sum; Thread.new { puts "thread" }.join; puts `echo sub`'
echo "status $?"

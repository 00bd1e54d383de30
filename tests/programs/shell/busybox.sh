# Applets of busybox and constructs of its shell, with the same output on every system. Run by `busybox sh` in a directory of its
# own; each part names itself first, so that a difference is found where it is.
set -u
part() { echo "-- $*"; }

part constructs
a=1 b='two words' c=
echo "$a" "$b" "${c:-default}" "${c:=set}" "$c" "${b#two }" "${b%words}" "${#b}" "${b/two/2}" "${b:4:3}"
echo $((3 * (4 + 5) % 7)) $((1 << 10)) $((0x1f & 017)) $((a > 0 ? 11 : 22)) $((a += 5)) $a
for i in 1 2 3; do for j in a b; do [ $i$j = 2b ] && continue 2; printf '%s ' $i$j; done; done; echo
i=0; while [ $i -lt 5 ]; do i=$((i + 1)); [ $i = 4 ] && break; done; echo $i
until [ $i = 0 ]; do i=$((i - 1)); done; echo $i
case abc in a?c) echo glob ;; *) echo none ;; esac
case x in [a-c]) echo wrong ;; x | y) echo alternatives ;; esac
f() { local a=inner; echo "f: $# $1 $a"; return 3; }
f one two; echo "status $? $a"
(a=sub; exit 4); echo "subshell $? $a"
{ echo grouped; echo output; } | cat
! false && echo negated
true && echo and || echo or
set -- x 'y z' w; echo $# "$2"; shift; echo "$@" "$*"
for word; do printf '<%s>' "$word"; done; echo
eval 'e=evaluated'; echo $e
echo "$(echo nested "$(echo substitution)")" `echo backquotes`
cat <<END
here $a $((1 + 1)) $(echo document)
END
cat <<'END'
quoted $a
END
cat <<-END
	tabs are gone
	END
echo to-file >file; echo more >>file; cat <file; wc -l <file
echo error 2>&1 >/dev/null | cat; { echo out; echo err >&2; } 2>err | cat; cat err
exec 3>third; echo through 3 >&3; exec 3>&-; cat third
exec 4<third; read line <&4; echo "read: $line"; exec 4<&-
echo 'one two three' | while read x y; do echo "$y/$x"; done
IFS=: ; set -- $(echo a:b:c); echo $# $2; unset IFS
trap 'echo exit trap' EXIT
(trap 'echo child trap' EXIT; exit 0)
trap 'echo got USR1' USR1; kill -USR1 $$; trap - USR1
getopts ab: o -b value; echo "$o $OPTARG"
alias hello='echo hi'; type hello >/dev/null 2>&1 && echo alias
readonly r=1; (r=2) 2>/dev/null; echo "readonly $?"
umask 027; umask; umask 022
ulimit -n >/dev/null && echo ulimit
command -v true >/dev/null && echo command
test -n "$b" -a ! -z "$b" && [ 5 -gt 3 ] && [[ abc == a* ]] && echo tests
sleep 0.05 & wait $!; echo "background $?"
(exit 7) & wait $!; echo "waited $?"
(sleep 5) & kill $!; wait $! 2>/dev/null; echo "killed $?"
yes | head -n 3 | tr y n
set -e; false || echo survived; set +e
echo *; echo ????; echo [ef]*

part text
printf 'banana\napple\ncherry\napple\n' >fruit
sort fruit; sort -u fruit; sort -r fruit | uniq -c; uniq -d fruit; sort fruit | uniq
head -n 1 fruit; tail -n 2 fruit; tac fruit; rev fruit; nl fruit; cat -n fruit
cut -c 1-3 fruit; cut -d a -f 2 fruit; paste fruit fruit | head -n 2; tr a-z A-Z <fruit; tr -d an <fruit
grep -n an fruit; grep -c apple fruit; grep -v apple fruit; grep -E '^(b|c)' fruit; egrep 'p{2}' fruit; fgrep . fruit; echo "none $?"
sed -n 's/a/<&>/gp;2q' fruit; sed '/apple/d;y/abc/xyz/' fruit; sed -e '1i top' -e '$a end' fruit
awk '{ n[$1]++ } END { for (k in n) s += n[k]; print NR, s }' fruit; awk -F n 'NR == 1 { print NF, $2 }' fruit
wc fruit; wc -c <fruit; fold -w 4 fruit; expand -t 4 third | head -n 1; printf 'a\tb\n' | expand; printf '        x\n' | unexpand -a
printf '1\n10\n9\n' | sort -n; seq 3; seq 2 2 8; seq -s , 1 5; factor 360; expr 6 \* 7; expr abc : 'a\(.\)c'; echo '2 3 + p' | dc
echo 'scale=3; 22/7' | bc
printf '%5.2f|%-5s|%05d|%x|%c\n' 3.14159 ab 42 255 z
diff fruit third; echo "diff $?"; cmp fruit fruit && echo same
dos2unix <fruit | unix2dos | od -c | head -n 2; strings fruit | head -n 1
printf 'a b c\n' | xargs -n 1 echo item; echo text | tee copy; cat copy; shuf -e one | cat; ts </dev/null; echo y | ed -s fruit 2>/dev/null; echo ed

part sums and encodings
md5sum fruit; sha1sum fruit; sha256sum fruit; sha512sum fruit | cut -c 1-20; sha3sum fruit | cut -c 1-20; crc32 fruit
base64 fruit; base64 fruit | base64 -d | cmp - fruit && echo base64; uuencode name <fruit | uudecode -o decoded; cmp fruit decoded && echo uuencode
hexdump -C fruit | head -n 1; xxd fruit | head -n 1; od -x fruit | head -n 1
seq 2000 >numbers
gzip -k numbers && gunzip -c numbers.gz | cmp - numbers && echo gzip; zcat numbers.gz | wc -l; bzip2 -k numbers && bzcat numbers.bz2 | cmp - numbers && echo bzip2
lzop -c numbers 2>/dev/null | lzop -dc 2>/dev/null | cmp - numbers && echo lzop

part files
mkdir -p tree/one/two; touch tree/one/file; echo data >tree/one/two/data; ln tree/one/file tree/hard; ln -s one/two tree/soft
ls tree; ls -1 tree/soft/; find tree | sort; find tree -type f -name 'd*'; find tree -type l -exec readlink {} \;
cp -r tree copied; find copied | wc -l; mv copied moved; ls -d moved; rm -r moved; ls -d moved 2>/dev/null; echo "gone $?"
chmod 640 tree/one/file; stat -c '%a %s %F %h' tree/one/file; chmod u+x,o-r tree/one/file; stat -c %A tree/one/file
cd tree/one; pwd | sed 's,.*/tree,tree,'; cd ../..; basename /a/b/c.txt .txt; dirname /a/b/c; realpath tree/soft | sed 's,.*/tree,tree,'; readlink tree/soft
du -a tree >/dev/null && echo du; df . >/dev/null && echo df; test -L tree/soft && test -d tree/soft && test ! -e nothing && echo kinds
tar -cf archive.tar tree && tar -tf archive.tar | sort; mkdir out; tar -xf archive.tar -C out && find out | sort | tail -n 2; tar -czf archive.tgz tree && tar -tzf archive.tgz | wc -l
(cd tree && find . | sort | cpio -o -H newc 2>/dev/null) | cpio -t 2>/dev/null | sort | head -n 3
dd if=/dev/zero of=zeroes bs=1k count=5 2>/dev/null; wc -c <zeroes; truncate -s 100 zeroes; wc -c <zeroes; dd if=fruit bs=1 skip=7 count=5 2>/dev/null; echo
mktemp tmp.XXXXXX | wc -c; mkfifo fifo; (echo through fifo >fifo &) ; cat fifo; rmdir out/tree/one/two 2>/dev/null; echo "rmdir $?"; sync; echo synced
unlink tree/hard; link fruit linked; stat -c %h fruit; touch -d '2020-01-02 03:04:05' dated; TZ=UTC date -r dated +%Y-%m-%d; test dated -ot fruit && echo older; chown 0:0 fruit 2>/dev/null; ls -l dated | cut -c 1-10
cal 1 2024; patch -p0 <<'END'
--- fruit
+++ fruit
@@ -1,2 +1,2 @@
-banana
+mango
 apple
END
head -n 1 fruit; which sh >/dev/null && echo which

part system
TZ=UTC date -d @86400 '+%F %T'; env -i A=1 env; printenv A 2>/dev/null; timeout 5 true; echo "timeout $?"; timeout -s KILL 0.1 sleep 5; echo "timed out $?"
uname -s; uname -m; id -u >/dev/null && echo id; whoami >/dev/null 2>&1; echo who; hostname >/dev/null && echo hostname; nproc >/dev/null && echo nproc; tty; logname >/dev/null 2>&1; echo logname
sleep 0.2 & p=$!; kill -0 $p && echo alive; ps -o pid,comm | grep -c "^ *$p " ; pidof sleep >/dev/null && echo pidof; kill $p; wait $p 2>/dev/null; echo "ended $?"
time -f '' true 2>/dev/null; echo timed; usleep 1000; echo usleep; setsid true; echo "setsid $?"; sh -c 'echo $0 $1' name word; free >/dev/null && echo free; uptime >/dev/null && echo uptime
test -c /dev/null && echo null; cat /proc/self/comm; mountpoint -q / 2>/dev/null; true; false; echo "false $?"; ipcalc -n 10.1.2.3 255.255.0.0; run-parts --test tree >/dev/null 2>&1; echo parts
chroot / true 2>/dev/null; taskset 1 true 2>/dev/null; ionice true 2>/dev/null; renice 1 $$ >/dev/null 2>&1; echo priorities; start-stop-daemon -K -x /nonexistent 2>/dev/null; echo daemon
stty size </dev/null 2>/dev/null; echo "stty $?"; expr 1 = 2; echo "expr $?"; clear >/dev/null 2>&1; reset </dev/null >/dev/null 2>&1; echo terminal
vi -c ':q' </dev/null >/dev/null 2>&1 & wait $!; less fruit </dev/null | head -n 1; more fruit </dev/null | tail -n 1; watch -t -n 1 true </dev/null >/dev/null 2>&1 & w=$!; kill $w; wait $w 2>/dev/null; echo watch
part end

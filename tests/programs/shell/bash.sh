# What bash has and asks of a system: job control, traps, pipelines, process substitution, arrays, arithmetic, redirections. Run by
# `bash-static` in a directory of its own, with the same output on every system.
part() { echo "-- $*"; }

part arrays and arithmetic
a=(one two 'three four'); a+=(five); echo "${#a[@]} ${a[2]} ${a[-1]} ${a[@]:1:2}"
declare -A map=([x]=1 [y]=2); map[z]=3; for k in x y z; do echo "$k=${map[$k]}"; done; unset 'map[y]'; echo ${#map[@]}
for ((i = 0; i < 5; i++)); do ((i == 3)) && continue; printf '%d ' $((i ** 2)); done; echo
let 'n = 7 / 2' 'm = n << 3'; echo $n $m $((16#ff)) $((n > m ? 1 : 0))
mapfile -t lines < <(printf 'l1\nl2\nl3\n'); echo "${lines[*]}" ${#lines[@]}
s='The quick fox'; echo "${s^^}" "${s,,}" "${s//[aeiou]/-}" "${s/#The/A}" "${s:4:5}" "${s%% *}"; printf -v v '%03d' 5; echo $v
[[ $s =~ ([a-z]+)\ fox ]] && echo "${BASH_REMATCH[1]}"; echo {1..5} {a..c}{1,2}
shopt -s extglob nullglob; echo none*
case foobar in @(foo|bar)*) echo ext ;; esac
printf '%s\n' "${a[@]@Q}" | head -n 2; declare -i int=5+5; echo $int; local_test() { local -n ref=$1; ref=changed; }; local_test s; echo $s

part redirections
cat <<<'here string'; cat <<END | tr a-z A-Z
document $((1 + 2))
END
exec {fd}>out; echo via $((fd >= 10)) >&$fd; exec {fd}>&-; cat out
{ echo o; echo e >&2; } &>both; cat both; echo more &>>both; wc -l <both
cat <(echo first) <(echo second); diff <(seq 3) <(seq 2 4); echo "diff $?"; echo to substitution > >(tr a-z A-Z); wait $!; sleep 0.1
echo a | { read x; echo "read $x"; }; read -r y z <<<'y z and more'; echo "$z"; while read -r l; do echo "line $l"; done < <(seq 2)
exec 5<>rw; echo both ways >&5; exec 5>&-; cat rw; set -o noclobber; (echo x >rw) 2>/dev/null || echo noclobber; echo x >|rw; set +o noclobber
coproc CAT { cat; }; echo through coprocess >&${CAT[1]}; read -r l <&${CAT[0]}; echo "$l"; eval "exec ${CAT[1]}>&-"; wait $CAT_PID; echo "coproc $?"

part pipelines
seq 1000 | grep 7 | sort -r | head -n 2; false | true; echo "${PIPESTATUS[@]}"; set -o pipefail; false | true; echo $?; set +o pipefail
yes | head -n 1000 | wc -l; (exit 3) | (exit 4); echo "${PIPESTATUS[*]}"; ! true; echo $?; time_out=$( { time -p true; } 2>&1 | grep -c real); echo $time_out
shopt -s lastpipe; echo lasts | read last; echo "$last"; seq 100000 | tail -n 1; x=$(seq 20000); echo ${#x}
for i in 1 2 3 4 5; do (sleep 0.0$i; echo $i >>order) & done; wait; sort order | tr '\n' ' '; echo

part traps
trap 'echo "exit trap $?"' EXIT; trap 'echo err' ERR; false; trap - ERR; trap 'echo usr1' USR1; kill -USR1 $BASHPID
(trap 'echo child term; exit 9' TERM; while :; do sleep 0.01; done) & sleep 0.2; kill $!; wait $!; echo "child $?"
trap 'echo chld' CHLD; (exit 0); true & wait; trap - CHLD; trap '' INT; (kill -INT $BASHPID; echo ignored); trap - INT
trap 'echo debug' DEBUG; :; trap - DEBUG; f() { trap 'echo return' RETURN; }; f; trap - RETURN; trap -p | grep -c exit
{ bash-static -c 'kill -KILL $$'; } 2>/dev/null; echo "killed $?"; { bash-static -c 'kill -SEGV $$'; } 2>/dev/null; echo "segv $?"
timeout 0.2 sleep 5 2>/dev/null; echo "timeout $?"

part jobs
set -m; jobs >/dev/null
sleep 30 & sleep 0.2; jobs; kill %1; wait %1; echo "job $?"
sleep 30 & sleep 31 & sleep 0.2; jobs -r | wc -l; { kill %%; wait %%; kill %sleep; wait; } 2>/dev/null; jobs
(kill -STOP $BASHPID; echo continued) & sleep 0.3; jobs -s | wc -l; fg %+ >/dev/null; echo "fg $?"
(kill -STOP $BASHPID; exit 5) & sleep 0.3; bg %+ >/dev/null; wait %+; echo "bg $?"
{ sleep 0.1; exit 6; } & wait -n; echo "any $?"; sleep 0.1 & p=$!; disown %+; jobs; kill -0 $p && echo alive; sleep 0.2
cat <(sleep 0.1; echo late) & fg >/dev/null; bash-static -c 'echo inner'; (sleep 10; true) & sleep 0.2; kill -TERM -- -$!; wait $!; echo "group $?"
set +m

part functions
fib() { (($1 < 2)) && echo $1 || echo $(($(fib $(($1 - 1))) + $(fib $(($1 - 2))))); }; fib 9
g() { echo "${FUNCNAME[0]} $LINENO" | cut -d ' ' -f 1; return 42; }; g; echo $?; export -f g; bash-static -c g; unset -f g; type g 2>/dev/null || echo unset
eval "h() { echo evaluated \$1; }"; h arg; select_test=$(select o in x y; do echo $o; break; done <<<2 2>/dev/null); echo $select_test; getopts 'x:' opt -x 5; echo $opt $OPTARG
set -e; (false; echo wrong) || echo caught; set +e; set -u; (echo $undefined) 2>/dev/null || echo unbound; set +u; (exec true; echo wrong); echo exec; : ${new:=set}; echo $new
echo "depth $SHLVL" | tr -d 0-9; (cd /; pwd); pushd / >/dev/null; dirs | wc -w; popd >/dev/null; umask 077; touch masked; stat -c %a masked; umask 022; ulimit -n | grep -c .
printf '%(%Y)T\n' 86400; echo $'tab\tbell' "$(printf '\x41\u00e9')" | od -c | head -n 1; echo ${RANDOM:+random} ${SECONDS:+seconds} ${EPOCHSECONDS:+epoch}; history -c; hash -r; echo -e 'a\nb' | tac
part end

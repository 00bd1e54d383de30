# What zsh has and asks of a system: job control, traps, pipelines, process substitution (=() too), arrays, globbing, arithmetic. Run by
# `zsh-static -f` in a directory of its own, with the same output on every system.
part() { echo "-- $*" }

part arrays
a=(one two 'three four'); a+=five; echo $#a $a[3] $a[-1] "${(j:,:)a}" ${a[2,3]}; echo ${(U)a[1]} ${(C)a[2]} ${(L)${:-UP}} ${(s:/:)${:-a/b/c}}
typeset -A map=(x 1 y 2); map[z]=3; echo ${(ok)map} ${(ov)map} ${#map}; for k v in ${(kv)map}; do echo $k-$v; done | sort
echo ${(o)a} ${(u)${:-x}} ${a:#one} ${(M)a:#t*} ${a[(r)t*]} ${a[(i)five]} ${(l:5::0:)${:-42}} ${a/o/0}
s='The quick fox'; echo ${s:4:5} ${s%% *} ${s//[aeiou]/-} ${#s} ${s[1,3]} ${=s} | cat; print -l ${(f)"$(printf 'l1\nl2\n')"}
echo {1..4} {a,b}{1,2} $((2 ** 10)) $((7 / 2.0)) $((16#ff)) $(( [#16] 255 )); integer i=5; float f=1.5; ((i += 3)); echo $i; for ((j = 0; j < 3; j++)); do print -n "$j "; done; echo; repeat 2 echo again

part redirections
cat <<<'here string'; cat <<END | tr a-z A-Z
document $((1 + 2))
END
echo to file >one >two; cat one two; { echo o; echo e >&2 } >&both; cat both; exec {fd}>out; echo via >&$fd; exec {fd}>&-; cat <out
cat <(echo first) <(echo second); diff =(seq 3) =(seq 2 4) | tail -n 2; echo up > >(tr a-z A-Z); sleep 0.1; cat <one <two; setopt noclobber; (echo x >one) 2>/dev/null || echo noclobber; echo x >|one; unsetopt noclobber
while read -r l; do echo "line $l"; done < <(seq 2); read -r x y <<<'x y and more'; echo $y; coproc cat; print -p through; read -p l; echo $l; exec 3>&p; exec 3>&-; coproc :; wait 2>/dev/null

part pipelines
seq 1000 | grep 7 | sort -r | head -n 2; false | true; echo $pipestatus; echo lasts | read last; echo $last; yes | head -n 1000 | wc -l; (exit 3) | (exit 4); echo $pipestatus
seq 100000 | tail -n 1; x=$(seq 20000); echo $#x; for i in 1 2 3; do (sleep 0.0$i; echo $i >>order) & done; wait; sort order | tr '\n' ' '; echo; setopt pipefail; false | true; echo $?; unsetopt pipefail

part traps
TRAPUSR1() { echo usr1 }; kill -USR1 $$; unfunction TRAPUSR1; trap 'echo usr2' USR2; kill -USR2 $$; trap - USR2; (trap 'echo sub exit' EXIT; exit 3); echo $?
(trap 'echo term; exit 9' TERM; while :; do sleep 0.01; done) & sleep 0.2; kill $!; wait $!; echo "child $?"; zsh-static -f -c 'kill -KILL $$'; echo "killed $?"; { echo tried; false } always { echo always }
TRAPZERR() { echo zerr }; false; unfunction TRAPZERR; f() { trap 'echo leaving' EXIT; echo in }; f; timeout 0.2 sleep 5; echo "timeout $?"

part jobs
sleep 30 & p=$!; jobs | grep -c running; kill $p; wait $p; echo "job $?"; sleep 0.1 & wait; jobs; (exit 5) & wait $!; echo "done $?"
sh -c 'kill -STOP $$; exit 6' & p=$!; sleep 0.3; kill -CONT $p; sleep 0.3; wait $p; echo "continued $?"; sleep 30 &! ; kill $!; echo disowned; sleep 30 & sleep 30 & kill $(jobs -p | cut -d ' ' -f 4) 2>/dev/null; kill %1 %2 2>/dev/null; wait; echo waited

part globs
mkdir -p d/e/f; touch d/1 d/e/2 d/e/f/3.txt; chmod 600 d/1; setopt extendedglob; print -l d/**/*(.) ; print -l d/*(/) d/**/*.txt(:t) d/*(.f600); echo d/^e d/<1-5> *(N/) none*(N); touch a.c b.c; echo *.c~a* (a|b).c ?.c; rm -r d; echo *(/N) | wc -w

part functions
fib() { (($1 < 2)) && echo $1 || echo $(($(fib $(($1 - 1))) + $(fib $(($1 - 2))))) }; fib 8; g() { local x=inner; echo $0 $x $#; return 42 }; g a b; echo $?; () { echo anonymous $1 } arg; alias -g UP='| tr a-z A-Z'; eval 'echo piped UP'
zmodload zsh/datetime 2>/dev/null; case $s in (The*) echo matched ;| (*fox) echo again ;; esac; select o in x y; do echo $o; break; done <<<2 2>/dev/null; [[ abc == a* && -d / ]] && echo tests; [[ $s == (#b)*\ (*)\ fox ]] && echo $match[1]; print -P '%%' ; printf '%05.1f|%-4s|\n' 3.14159 ab
autoload -U is-at-least 2>/dev/null; pushd / >/dev/null; pwd; popd >/dev/null; umask 077; touch masked; stat -c %a masked; (exec true; echo wrong); setopt errexit; (false) || echo survived; unsetopt errexit; echo ${:-nested ${:-parameters}}; print -rn -- 'raw\n'; echo
part end

# packages: bash dash coreutils
for i in 1 2 3; do echo $i; done | sort -r | tr '\n' ' '
dash -c 'x=5; while [ $x -gt 0 ]; do x=$((x - 1)); echo -n $x; done; echo'
cat <(echo from a process) <(echo and another)
declare -A table=([one]=1 [two]=2)
echo ${#table[@]} ${table[two]} ${BASH_VERSION%%.*}
trap 'echo trapped' USR1
kill -USR1 $$
(sleep 0.1; echo late) &
wait
coproc cat
echo through >&${COPROC[1]}
read -r line <&${COPROC[0]}
echo $line
echo text >/dev/stdout
exec 5<>file; echo kept >&5; cat file
dash -c 'ulimit -n 20; ulimit -n'
no-such-program 2>&1
echo "status $?"
(bash -c 'kill -SEGV $$'; exit $?) 2>/dev/null
echo "status $?"

# packages: gcc libc6-dev dash sed
# memory: 512
# What the loader and the shells say of programs and libraries that are missing or damaged.
echo 'int main(void) { return 3; }' >three.c
gcc -o three three.c -Wl,--dynamic-linker=/no/such/loader
./three
echo "status $?"
dash -c ./three
echo "status $?"
for n in $(seq 20); do echo "no program"; done >text
chmod +x text
gcc -o three three.c -Wl,--dynamic-linker="$PWD/text"
./three
echo "status $?"
echo short >text
./three
echo "status $?"
gcc -o three three.c
/lib64/ld-linux-x86-64.so.2 ./three
echo "status $?"
/lib64/ld-linux-x86-64.so.2 --list ./three | sed 's/(0x[0-9a-f]*)//; /vdso/d'
gcc -no-pie -o fixed three.c
/lib64/ld-linux-x86-64.so.2 ./fixed
echo "status $?"
echo 'int answer(void) { return 42; }' >answer.c
echo 'int answer(void); int main(void) { return answer(); }' >asks.c
gcc -shared -fPIC -o libanswer.so answer.c
gcc -o asks asks.c -L. -lanswer -Wl,-rpath,"$PWD"
./asks
echo "status $?"
head -c 100 libanswer.so >short
cp short libanswer.so
./asks
echo "status $?"
: >libanswer.so
./asks
echo "status $?"
cp text libanswer.so
./asks
echo "status $?"
rm libanswer.so
./asks
echo "status $?"
gcc -static-pie -o alone three.c
./alone
echo "status $?"

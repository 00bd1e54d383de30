# packages: gcc libc6-dev tcc coreutils
# memory: 768
cat >hello.c <<'END'
#include <math.h>
#include <pthread.h>
#include <stdio.h>
static void *work(void *out) { *(double *)out = sin(1.0); return out; }
int main(int count, char **words)
{
	pthread_t thread;
	double result;
	pthread_create(&thread, NULL, work, &result);
	pthread_join(thread, NULL);
	printf("%d %s %.6f\n", count, words[count - 1], result);
	return count;
}
END
gcc -O2 -Wall -o with-gcc hello.c -lm -pthread
./with-gcc a b
echo "status $?"
gcc -static -O0 -g -o static hello.c -lm -pthread
./static a
gcc -no-pie -o fixed hello.c -lm -pthread
./fixed
echo 'int answer(void) { return 42; }' >answer.c
gcc -shared -fPIC -o libanswer.so answer.c
echo 'int answer(void); int main(void) { return answer(); }' >asks.c
gcc -o asks asks.c -L. -lanswer -Wl,-rpath,"$PWD"
./asks
echo "status $?"
rm libanswer.so
./asks
echo "status $?"
tcc -o with-tcc hello.c -lm -lpthread
./with-tcc a b c
tcc -run hello.c x
echo 'int main(void) { return wrong; }' >wrong.c
gcc -c wrong.c
echo "status $?"

/*
 * Copies its input to its output until the input ends; says on the error output how much it was.
 */
#include <stdio.h>
#include <unistd.h>

int main(void)
{
	char buffer[1000];
	unsigned long total = 0;
	ssize_t got;

	while ((got = read(0, buffer, sizeof(buffer))) > 0) {
		for (ssize_t done = 0; done < got;) {
			ssize_t put = write(1, buffer + done, (size_t)(got - done));

			if (put <= 0)
				return 2;
			done += put;
		}
		total += (unsigned long)got;
	}
	fprintf(stderr, "%lu bytes\n", total);
	return got < 0;
}

/* main() for a fuzz target without libFuzzer.
 *
 *	fuzz_x FILE...            runs the files, one input each
 *	fuzz_x [-n RUNS] [-s SEED]  runs the target's seeds, then RUNS random mutations of them
 *
 * The same seed gives the same inputs. When the target breaks, the input lies in the file
 * crash-input of the current directory, written before each abort by a signal handler. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fuzz.h"

#define INPUT_MAX    4096u
#define SEEDS_MAX    64u
#define RUNS_DEFAULT 100000ul

struct input {
	uint8_t b[INPUT_MAX];
	size_t n;
};

static struct input seeds[SEEDS_MAX];
static size_t n_seeds;
static uint64_t rng_state;
static struct input current; /* for on_abort */

static uint64_t rnd(void) /* splitmix64 */
{
	uint64_t z = rng_state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static size_t below(size_t n)
{
	return (size_t)(rnd() % n);
}

static void on_abort(int sig)
{
	int fd = open("crash-input", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd >= 0) {
		ssize_t written = write(fd, current.b, current.n);

		(void)written; /* dying anyway */
		close(fd);
	}
	signal(sig, SIG_DFL);
	raise(sig);
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void seeds_decode(void)
{
	for (n_seeds = 0; fuzz_seeds[n_seeds] && n_seeds < SEEDS_MAX; n_seeds++) {
		struct input *in = &seeds[n_seeds];

		for (const char *h = fuzz_seeds[n_seeds]; *h; h++) {
			if (*h == ' ')
				continue;
			FUZZ_CHECK(nibble(h[0]) >= 0 && nibble(h[1]) >= 0 && in->n < INPUT_MAX);
			in->b[in->n++] = (uint8_t)(nibble(h[0]) << 4 | nibble(h[1]));
			h++;
		}
	}
	FUZZ_CHECK(n_seeds > 0);
}

static void run(const struct input *in)
{
	uint8_t *b = fuzz_copy(in->b, in->n);

	current = *in;
	LLVMFuzzerTestOneInput(b, in->n);
	free(b);
}

static void insert(struct input *in)
{
	size_t at = below(in->n + 1), k = 1 + below(8);

	if (in->n + k > INPUT_MAX)
		return;
	memmove(in->b + at + k, in->b + at, in->n - at);
	for (size_t i = 0; i < k; i++)
		in->b[at + i] = (uint8_t)(rnd() % 2 ? rnd() : rnd() % 16);
	in->n += k;
}

static void cut(struct input *in)
{
	size_t at = below(in->n), k = 1 + below(in->n - at);

	memmove(in->b + at, in->b + at + k, in->n - at - k);
	in->n -= k;
}

/* The tail of another seed from the same place on. */
static void splice(struct input *in)
{
	const struct input *o = &seeds[below(n_seeds)];
	size_t at = below(in->n);

	if (at >= o->n)
		return;
	memcpy(in->b + at, o->b + at, o->n - at);
	in->n = o->n;
}

static void mutate(struct input *in)
{
	static const uint8_t interesting[] = {
		0, 1, 2, 3, 4, 5, 8, 10, 0x0f, 0x40, 0x7f, 0x80, 0xff};
	size_t what = below(16);

	if (!in->n || what == 0)
		insert(in);
	else if (what == 1)
		cut(in);
	else if (what == 2)
		in->n = below(in->n + 1);
	else if (what == 3)
		splice(in);
	else if (what < 8)
		in->b[below(in->n)] = interesting[below(sizeof(interesting))];
	else if (what < 12)
		in->b[below(in->n)] = (uint8_t)rnd();
	else
		in->b[below(in->n)] ^= (uint8_t)(1u << below(8));
}

static void run_mutations(unsigned long runs)
{
	for (size_t i = 0; i < n_seeds; i++)
		run(&seeds[i]);
	for (unsigned long k = 0; k < runs; k++) {
		struct input in = seeds[below(n_seeds)];

		for (size_t i = 1 + below(4); i; i--)
			mutate(&in);
		run(&in);
	}
}

static int run_file(const char *path)
{
	struct input in;
	FILE *f = fopen(path, "rb");

	if (!f) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return EXIT_FAILURE;
	}
	in.n = fread(in.b, 1, sizeof(in.b), f);
	fclose(f);
	run(&in);
	return EXIT_SUCCESS;
}

/* The whole of text as a number, or exit. */
static unsigned long long number(const char *text)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(text, &end, 0);
	if (errno || end == text || *end || *text == '-') {
		fprintf(stderr, "not a number: %s\n", text);
		exit(2);
	}
	return v;
}

int main(int argc, char **argv)
{
	unsigned long runs = RUNS_DEFAULT;
	int opt, rc = EXIT_SUCCESS;

	rng_state = 1;
	while ((opt = getopt(argc, argv, "n:s:")) != -1) {
		if (opt == 'n') {
			runs = (unsigned long)number(optarg);
		} else if (opt == 's') {
			rng_state = number(optarg);
		} else {
			fprintf(stderr, "usage: %s [-n RUNS] [-s SEED] | FILE...\n", argv[0]);
			return 2;
		}
	}
	signal(SIGABRT, on_abort);
	seeds_decode();
	if (optind == argc)
		run_mutations(runs);
	for (int i = optind; i < argc; i++) {
		if (run_file(argv[i]) != EXIT_SUCCESS)
			rc = EXIT_FAILURE;
	}
	return rc;
}

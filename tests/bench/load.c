/* The load generator of the benchmarks: the host's end of every measurement, on the kernel's
 * sockets, one thread. It prints one line of JSON.
 *
 *   load send ADDR      bulk to the discard port; what counts is what was acknowledged
 *   load recv ADDR      bulk from the character generator
 *   load ping ADDR      one octet there and back, one at a time: percentiles
 *   load cycle ADDR     connect, one octet each way, close, one after another
 *   load hold ADDR      connections that stay, half of them echo's, half discard's, an octet on
 * each load udp-send ADDR  datagrams to the discard port; what counts is what its service got load
 * udp-recv ADDR  asks the service on port 5019 for datagrams, counts what arrives
 *
 * --time S, --warm S   how long, and how long before it without being counted
 * --conns N            connections at once
 * --bytes N            bulk: so many octets, to the acknowledgement of the last, instead of a time
 * --size N, --segs N   datagrams: payload, and how many in one call by UDP_SEGMENT
 * --busy               spin instead of sleeping
 * --cc NAME, --port N  congestion control; another port than the service's
 * --from ADDR          of the host, to connect from
 *
 * Exit status 0, 1 something failed, 2 usage. */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define TIME_S_MAX 600.0

int load_fail(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	return 1;
}

static int usage(void)
{
	fputs("usage: load send|recv|ping|cycle|hold|udp-send|udp-recv ADDR [--port N] [--from "
	      "ADDR] [--time S] "
	      "[--warm S]\n            [--conns N] [--bytes N] [--size N] [--segs N] [--busy] "
	      "[--cc NAME]\n",
		stderr);
	return 2;
}

static const struct mode {
	const char *name;
	uint16_t port;
	int (*run)(const struct load_options *o);
} modes[] = {
	{"send", PORT_DISCARD, load_send},
	{"recv", PORT_CHARGEN, load_recv},
	{"ping", PORT_ECHO, load_ping},
	{"cycle", PORT_ECHO, load_cycle},
	{"hold", PORT_ECHO, load_hold},
	{"udp-send", PORT_DISCARD, load_udp_send},
	{"udp-recv", PORT_UDP_SOURCE, load_udp_recv},
};

static const struct option options[] = {
	{"port", required_argument, NULL, 'p'},
	{"from", required_argument, NULL, 'f'},
	{"time", required_argument, NULL, 't'},
	{"warm", required_argument, NULL, 'w'},
	{"conns", required_argument, NULL, 'c'},
	{"bytes", required_argument, NULL, 'n'},
	{"size", required_argument, NULL, 's'},
	{"segs", required_argument, NULL, 'g'},
	{"busy", no_argument, NULL, 'b'},
	{"cc", required_argument, NULL, 'C'},
	{NULL, 0, NULL, 0},
};

/* A number of seconds as ns, at most ten minutes; false: it is none. */
static bool seconds(const char *text, uint64_t *out)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end || !(v >= 0 && v <= TIME_S_MAX))
		return false;
	*out = (uint64_t)(v * 1e9);
	return true;
}

static bool number(const char *text, uint64_t least, uint64_t most, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	return !errno && end != text && !*end && *out >= least && *out <= most;
}

/* One option's value; false: refused. */
static bool option(struct load_options *o, int c, const char *arg)
{
	uint64_t v = 0;
	bool good = true;

	switch (c) {
	case 'p':
		good = number(arg, 1, 65535, &v);
		o->peer.sin_port = htons((uint16_t)v);
		return good;
	case 'f': return inet_pton(AF_INET, arg, &o->from.sin_addr) == 1;
	case 't': return seconds(arg, &o->time_ns);
	case 'w': return seconds(arg, &o->warm_ns);
	case 'c':
		good = number(arg, 1, 1000000, &v);
		o->conns = (unsigned)v;
		return good;
	case 'n': return number(arg, 1, UINT64_MAX, &o->bytes);
	case 's':
		good = number(arg, 1, 65000, &v);
		o->size = (uint16_t)v;
		return good;
	case 'g':
		good = number(arg, 1, 64, &v);
		o->segs = (uint16_t)v;
		return good;
	case 'b': o->busy = true; return true;
	case 'C': o->cc = arg; return true;
	default: return false;
	}
}

int main(int argc, char **argv)
{
	struct load_options o = {.time_ns = 1000000000u, .conns = 1, .size = 64, .segs = 1};
	const struct mode *m = NULL;
	int c;

	for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++)
		m = strcmp(modes[i].name, argv[1]) == 0 ? &modes[i] : m;
	if (!m || argc < 3 || inet_pton(AF_INET, argv[2], &o.peer.sin_addr) != 1)
		return usage();
	o.peer.sin_family = o.from.sin_family = AF_INET;
	o.peer.sin_port = htons(m->port);
	optind = 3;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (!option(&o, c, optarg))
			return usage();
	}
	if (optind != argc || (uint32_t)o.size * o.segs > 65000)
		return usage();
	signal(SIGPIPE, SIG_IGN);
	return m->run(&o);
}

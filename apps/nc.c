/* `tapglass nc`: a TCP connection or UDP datagrams between standard input and output, from the
 * running stack or one of its own; flags as OpenBSD's nc has them. Input is read straight into the
 * send buffer, and only while there is room in it. Left out: names (addresses only), ranges of
 * ports, proxies, -k. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "alone.h"
#include "in.h"
#include "verbs.h"

#define DGRAM_MAX    65507u
#define DGRAM_READ   16384u /* of standard input make one datagram at most, as nc does */
#define NC_SPANS     16u
#define NC_RETRY_NS  (10 * NS_PER_MS)
#define NC_ROUND_MAX (4u << 20) /* bytes in a round: others want their turn */

enum nc_phase {
	NC_LISTEN,     /* for the connection, or the first datagram */
	NC_CONNECTING, /* TCP */
	NC_OPEN,
	NC_OVER,
};

struct nc {
	struct options opt;
	/* what was asked for */
	bool listen, udp, shut, scan, verbose;
	uint64_t patience_ns; /* 0: endless */
	uint16_t source_port;
	struct tg_addr addr;

	struct job *job;
	struct tg *s;
	enum nc_phase phase;
	tg_sock sock;
	struct in in;
	bool shut_done, net_done;
	bool retry, more;       /* after this round: soon, at once */
	uint64_t active_ns;     /* something moved */
	uint32_t pending_bytes; /* a datagram that could not be sent yet */
	uint8_t buf[DGRAM_MAX + 1];
};

static const struct option_spec nc_options[] = {
	{NULL, 'l', 'l', NULL, "listen for one connection, or for datagrams"},
	{NULL, 'u', 'u', NULL, "UDP"},
	{NULL, 'w', 'w', "SEC", "give up connecting, or end when nothing moves, after so long"},
	{NULL, 'N', 'N', NULL, "end the sending side when the input ends"},
	{NULL, 'p', 'p', "PORT", "source port"},
	{NULL, 'z', 'z', NULL, "only try to connect"},
	{NULL, 'n', 'n', NULL, "numbers, not names (always so)"},
	{"verbose", 'v', 'v', NULL, "tell of the connection on standard error"},
	{NULL, 0, 0, NULL, NULL},
};

static int nc_set(void *ctx, int value, const char *arg)
{
	struct nc *c = ctx;
	uint64_t n;

	switch (value) {
	case 'l': c->listen = true; return 0;
	case 'u': c->udp = true; return 0;
	case 'N': c->shut = true; return 0;
	case 'z': c->scan = true; return 0;
	case 'v': c->verbose = true; return 0;
	case 'n': return 0;
	case 'p':
		if (!parse_u64(arg, 1, 65535, &n)) {
			return usage_error("-p %s: not a port, 1 to 65535", arg);
		}
		c->source_port = (uint16_t)n;
		return 0;
	default:
		if (!parse_seconds(arg, 1e6, &c->patience_ns) || c->patience_ns < NS_PER_MS) {
			return usage_error("-w %s: not a time of at least 0.001 seconds", arg);
		}
		return 0;
	}
}

const struct verb_spec nc_spec = {
	.usage = "nc [OPTION]... HOST PORT\n       tapglass nc -l [OPTION]... [ADDR] PORT",
	.about = "Copies standard input to a TCP connection or UDP datagrams, and what comes back "
		 "to "
		 "standard\n"
		 "output: from the running stack, or, if there is none or options of a link are "
		 "given, from one of\n"
		 "its own.",
	.example = "  echo hello | tapglass nc -N 192.0.2.2 7\n"
		   "  tapglass nc -l 5000 > file\n",
	.options = nc_options,
	.link_options = true,
	.min_args = 1,
	.max_args = 2,
	.args_name = "PORT",
	.set = nc_set,
};

static int nc_parse(struct nc *c, int argc, char **argv)
{
	int first, rc;
	uint64_t port;

	options_default(&c->opt);
	rc = options_parse(argc, argv, &nc_spec, &c->opt, c, &first);
	if (rc != OPTIONS_GO) {
		return rc;
	}
	if (argc - first == 1 && !c->listen) {
		return usage_error("nc: PORT is missing (tapglass nc --help)");
	}
	if (argc - first == 2 && !tg_ip_parse(argv[first], &c->addr.ip)) {
		return usage_error("nc: \"%s\" is not an address like 192.0.2.1", argv[first]);
	}
	if (!parse_u64(argv[argc - 1], 1, 65535, &port)) {
		return usage_error("nc: \"%s\" is not a port, 1 to 65535", argv[argc - 1]);
	}
	if (c->scan && (c->listen || c->udp)) {
		return usage_error("nc: -z goes with neither -l nor -u");
	}
	if (c->listen && c->source_port != 0) {
		return usage_error("nc: -p does not go with -l, whose port is the argument");
	}
	c->addr.port = (uint16_t)port;
	return OPTIONS_GO;
}

/* ---- Ends ------------------------------------------------------------------------------------ */

static void over(struct nc *c, int status)
{
	c->phase = NC_OVER;
	in_watch(&c->in, c->job->link->host, false);
	job_finish(c->job, status);
}

static void fail(struct nc *c, const char *what, int64_t result)
{
	char where[24];

	job_error(c->job, "tapglass: nc: %s %s: %s\n", what, format_addr(&c->addr, where),
		errno_text(result));
	over(c, EXIT_FAILED);
}

static bool again(struct nc *c, int64_t result)
{
	c->retry = c->retry || result == -TG_ENOMEM;
	return result == -TG_EAGAIN || result == -TG_ENOMEM;
}

static void opened(struct nc *c, uint64_t now_ns)
{
	char where[24];

	c->phase = NC_OPEN;
	c->active_ns = now_ns;
	if (c->verbose) {
		job_error(c->job,
			c->listen ? "Connection received on %s\n" : "Connection to %s succeeded!\n",
			format_addr(&c->addr, where));
	}
	if (c->scan) {
		over(c, EXIT_OK);
	}
}

/* ---- Streams --------------------------------------------------------------------------------- */

static void stream_out(struct nc *c, uint64_t now_ns)
{
	struct tg_mspan span[2];
	size_t moved = 0;
	int64_t n;
	int rc;

	while (!c->in.ended && moved < NC_ROUND_MAX) {
		rc = tg_sock_reserve(c->s, c->sock, OUT_BUFFER_BYTES, span);
		if (rc <= 0) {
			if (rc < 0 && !again(c, rc)) {
				fail(c, "sending to", rc);
			}
			in_watch(&c->in, c->job->link->host, false);
			return;
		}
		n = in_read(&c->in, span[0].base, span[0].len);
		if (n <= 0) {
			break;
		}
		tg_sock_commit(c->s, c->sock, (size_t)n, 0, now_ns);
		moved += (size_t)n;
		c->active_ns = now_ns;
	}
	if (c->in.ended && c->shut && !c->shut_done) {
		tg_sock_shutdown(c->s, c->sock, TG_SHUT_WR, now_ns);
		c->shut_done = true;
	}
	in_watch(&c->in, c->job->link->host, !c->in.ended);
}

static void stream_in(struct nc *c, uint64_t now_ns)
{
	struct out *o = &c->job->out;
	struct tg_span span[NC_SPANS];
	size_t room, moved = 0;
	int n;

	while (!c->net_done && !out_flush(o) && !o->dead && moved < NC_ROUND_MAX) {
		n = tg_sock_peek(c->s, c->sock, span, NC_SPANS);
		if (n < 0) {
			if (!again(c, n)) {
				fail(c, "receiving from", n);
			}
			return;
		}
		c->net_done = n == 0;
		room = OUT_BUFFER_BYTES;
		for (int i = 0; i < n && room > 0; i++) {
			size_t take = span[i].len < room ? span[i].len : room;

			out_line(o, span[i].base, take);
			room -= take;
		}
		if (n > 0) {
			tg_sock_consume(c->s, c->sock, OUT_BUFFER_BYTES - room, now_ns);
			moved += OUT_BUFFER_BYTES - room;
			c->active_ns = now_ns;
		}
	}
	c->more = moved >= NC_ROUND_MAX;
}

static void stream_round(struct nc *c, uint64_t now_ns)
{
	stream_out(c, now_ns);
	if (c->phase == NC_OPEN) {
		stream_in(c, now_ns);
	}
	/* The other end has said all. Our input may have more to say, unless that is somebody at a
	 * keyboard. */
	if (c->phase == NC_OPEN && c->net_done && (c->in.ended || c->in.terminal)) {
		over(c, EXIT_OK);
	}
}

/* ---- Datagrams ------------------------------------------------------------------------------- */

static void dgram_out(struct nc *c, uint64_t now_ns)
{
	size_t moved = 0;
	int64_t n;

	while (c->pending_bytes > 0 || (!c->in.ended && moved < NC_ROUND_MAX)) {
		if (c->pending_bytes == 0) {
			n = in_read(&c->in, c->buf, DGRAM_READ);
			if (n <= 0) {
				break;
			}
			c->pending_bytes = (uint32_t)n;
		}
		n = tg_sock_send(c->s, c->sock, c->buf, c->pending_bytes, 0, now_ns);
		if (n < 0 && again(c, n)) {
			break;
		}
		if (n < 0) {
			fail(c, "sending to", n);
			return;
		}
		moved += c->pending_bytes;
		c->pending_bytes = 0;
		c->active_ns = now_ns;
	}
	in_watch(&c->in, c->job->link->host, !c->in.ended && c->pending_bytes == 0);
}

static void dgram_in(struct nc *c, uint64_t now_ns)
{
	uint8_t buf[DGRAM_MAX];
	struct out *o = &c->job->out;
	struct tg_dgram d;
	size_t moved = 0;
	int64_t n;

	/* all of a datagram or nothing */
	while (!out_flush(o) && !o->dead && moved < NC_ROUND_MAX) {
		n = tg_sock_recvfrom(c->s, c->sock, buf, sizeof buf, 0, &d, now_ns);
		if (n < 0) {
			if (!again(c, n)) {
				fail(c, "receiving from", n);
			}
			return;
		}
		if (c->phase == NC_LISTEN) {
			c->addr = d.peer;
			tg_sock_connect(c->s, c->sock, &d.peer, now_ns);
			opened(c, now_ns);
		}
		out_line(o, (const char *)buf, (size_t)n);
		moved += (size_t)n + 1;
		c->active_ns = now_ns;
	}
	c->more = moved >= NC_ROUND_MAX;
}

static void dgram_round(struct nc *c, uint64_t now_ns)
{
	if (c->phase == NC_OPEN) {
		dgram_out(c, now_ns);
	}
	if (c->phase != NC_OVER) {
		dgram_in(c, now_ns);
	}
}

/* ---- Opening --------------------------------------------------------------------------------- */

static void accept_try(struct nc *c, uint64_t now_ns)
{
	tg_sock k;
	int rc = tg_sock_accept(c->s, c->sock, 0, &k, now_ns);

	if (rc < 0) {
		if (!again(c, rc)) {
			fail(c, "listening on", rc);
		}
		return;
	}
	tg_sock_close(c->s, c->sock, now_ns); /* one is all we take */
	c->sock = k;
	tg_sock_peer_addr(c->s, k, &c->addr);
	opened(c, now_ns);
}

static void connect_try(struct nc *c, uint64_t now_ns)
{
	int64_t err = 0;

	if ((tg_sock_ready(c->s, c->sock) & (TG_OUT | TG_ERR | TG_HUP)) == 0) {
		return;
	}
	tg_sock_getopt(c->s, c->sock, TG_SO_ERROR, &err);
	if (err != 0) {
		fail(c, "connecting to", -err);
	} else {
		opened(c, now_ns);
	}
}

static int socket_open(struct nc *c, uint64_t now_ns)
{
	struct tg_addr local = {.port = c->source_port};
	int rc = tg_sock_open(c->s, c->udp ? TG_DGRAM : TG_STREAM, 0, 0, &c->sock);

	if (rc < 0) {
		c->sock = 0;
		return rc;
	}
	if (c->listen || c->source_port != 0) {
		rc = tg_sock_bind(c->s, c->sock, c->listen ? &c->addr : &local);
	}
	if (rc == 0 && c->listen) {
		c->phase = NC_LISTEN;
		return c->udp ? 0 : tg_sock_listen(c->s, c->sock, 1, now_ns);
	}
	if (rc == 0) {
		rc = tg_sock_connect(c->s, c->sock, &c->addr, now_ns);
		c->phase = NC_CONNECTING;
	}
	return rc == -TG_EINPROGRESS ? 0 : rc;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static uint64_t nc_round(struct job *j, uint64_t now_ns)
{
	struct nc *c = j->state;
	uint64_t due = UINT64_MAX;

	c->retry = c->more = false;
	if (c->phase == NC_LISTEN && !c->udp) {
		accept_try(c, now_ns);
	} else if (c->phase == NC_CONNECTING) {
		connect_try(c, now_ns);
	}
	if (c->udp) {
		dgram_round(c, now_ns);
	} else if (c->phase == NC_OPEN) {
		stream_round(c, now_ns);
	}
	if (c->phase != NC_OVER && c->patience_ns != 0 && c->phase != NC_LISTEN) {
		due = c->active_ns + c->patience_ns;
		if (now_ns >= due && c->phase == NC_CONNECTING) {
			fail(c, "connecting to", -TG_ETIMEDOUT);
		} else if (now_ns >= due) {
			over(c, EXIT_OK);
		}
	}
	if (c->more) {
		return now_ns;
	}
	return c->retry && now_ns + NC_RETRY_NS < due ? now_ns + NC_RETRY_NS : due;
}

static int nc_start(struct job *j, int argc, char **argv)
{
	struct nc *c = calloc(1, sizeof *c);
	uint64_t now = tg_host_now();
	char where[24];
	int rc;

	if (c == NULL) {
		return failure("out of memory");
	}
	j->state = c;
	c->job = j;
	c->s = j->link->stack;
	in_open(&c->in, j->io->fd[0]);
	rc = nc_parse(c, argc, argv);
	if (rc != OPTIONS_GO) {
		return rc;
	}
	c->active_ns = now;
	rc = socket_open(c, now);
	if (rc < 0) {
		fail(c, c->listen ? "listening on" : "connecting to", rc);
	} else if (c->listen && c->verbose) {
		job_error(j, "Listening on %s\n", format_addr(&c->addr, where));
	} else if (c->udp && !c->listen) {
		opened(c, now);
	}
	return JOB_GOES_ON;
}

static void nc_end(struct job *j)
{
	struct nc *c = j->state;

	if (c == NULL) {
		return;
	}
	if (c->sock != 0) {
		tg_sock_close(c->s, c->sock, tg_host_now());
	}
	in_close(&c->in, j->link->host);
	free(c);
}

const struct job_verb nc_job = {"nc", nc_start, nc_round, NULL, nc_end};

int nc_main(int argc, char **argv)
{
	static const struct job_io io = {.fd = {0, 1, 2}, .n_fds = 3, .takes_input = true};
	struct nc *c = calloc(1, sizeof *c);
	int rc;

	if (c == NULL) {
		return failure("out of memory");
	}
	rc = nc_parse(c, argc, argv);
	if (rc == OPTIONS_GO) {
		rc = verb_run(&nc_job, &c->opt, &io, argc, argv);
	}
	free(c);
	return rc;
}

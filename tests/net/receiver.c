/* The same scripted sender before two receivers, the host's kernel behind a TUN device and the
 *stack in virtual time: text out of order, overlapping, twice, beyond the window, too old, FIN
 *early, late, repeated and followed by text. After every segment an old octet asks for an ACK; the
 *ACK numbers, what the application can read, the end of the stream and the final state have to be
 *the same.
 *
 *	receiver FIRST COUNT [-v]	seeds; needs 192.0.2.1/24 on a device that it makes itself:
 *run it by receiver.sh
 *
 * Left out: text that lies partly beyond the window (RFC 9293 3.10.7.4 trims it, the kernel drops
 *it whole) or begins right behind a FIN out of order (the kernel merges both and moves the FIN),
 * options other than MSS and SACK-permitted, windows, which are each receiver's own affair. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tapglass_inspect.h"

#define PORT      7000u
#define STEPS     48u
#define MEM_BYTES (16u << 20)
#define US        UINT32_C(0xc0000201) /* 192.0.2.1: both receivers */
#define SENDER    UINT32_C(0xc0000202)
#define GONE      (-1)
#define SILENT    (-2)

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

/* ---- Scripts ---- */

enum anchor {
	STREAM,
	EDGE,
	OLD
}; /* from the first octet; from the window's edge; back from what was acknowledged */
enum mode {
	READS,
	HALF_CLOSED,
	CLOSING,
	MODES
}; /* the receiver sends FIN first: acknowledged, or not */

struct step {
	uint8_t anchor;
	bool fin;
	uint16_t len;
	uint32_t off;
};
struct script {
	uint64_t seed;
	uint32_t n, stream; /* octets before the FIN */
	enum mode mode;
	struct step step[STEPS];
};

static uint64_t rng;

static uint32_t below(uint32_t n)
{
	uint64_t z = rng += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return (uint32_t)(((z ^ z >> 31) >> 32) * n >> 32);
}

/* Text somewhere in the stream; cut at a multiple of `grain` so that pieces meet, or not. */
static struct step draw_text(const struct script *s, uint32_t grain)
{
	uint32_t at = below(s->stream), n = 1 + below(1400);

	if (below(3)) {
		at -= at % grain;
		n = grain * (1 + below(3));
	}
	n = n > s->stream - at ? s->stream - at : n;
	n = n > 1400 ? 1400 : n;
	return (struct step){STREAM, at + n == s->stream && below(3) == 0, (uint16_t)n, at};
}

static struct step draw_step(const struct script *s, uint32_t grain, uint32_t *next)
{
	struct step t = draw_text(s, grain);

	switch (below(12)) {
	case 0: /* beyond the window, at its edge or far away */
		return (struct step){EDGE, below(8) == 0, t.len, below(2) ? 0 : below(1000000)};
	case 1: /* old, a little or far */
		return (struct step){OLD, below(8) == 0, (uint16_t)(1 + below(100)),
			100 + below(below(2) ? 10 : 100000)};
	case 2: /* the FIN alone, where it belongs */
		return (struct step){STREAM, true, 0, s->stream};
	case 3: /* text behind the FIN, without and with another one */
		return (struct step){STREAM, below(4) == 0, (uint16_t)(1 + below(600)),
			s->stream + 2 + below(300)};
	case 4:
	case 5:
	case 6: /* what comes next */
		t.off = *next < s->stream ? *next : 0;
		t.len = (uint16_t)(s->stream - t.off < grain ? s->stream - t.off : grain);
		t.fin = t.off + t.len == s->stream && below(2);
		*next = t.off + t.len;
		return t;
	default: return t;
	}
}

static void draw_script(struct script *s, uint64_t seed)
{
	uint32_t grain, next = 0, most;

	rng = seed * 0x2545f4914f6cdd1dull + 99;
	memset(s, 0, sizeof(*s));
	s->seed = seed;
	s->stream = 1 + below(below(2) ? 500 : 9000);
	s->mode = below(2) ? READS : (enum mode)below(MODES);
	grain = 1 + below(below(2) ? 20 : 1000);
	most = 3 + below(28);
	while (s->n < most)
		s->step[s->n++] = draw_step(s, grain, &next);
	/* Mostly all of it follows once more, in order. */
	for (uint32_t at = 0; below(40) && at < s->stream && s->n < STEPS; at += 1000) {
		uint32_t n = s->stream - at < 1000 ? s->stream - at : 1000;

		s->step[s->n++] = (struct step){STREAM, at + n == s->stream, (uint16_t)n, at};
	}
}

/* ---- Receivers ---- */

struct segment {
	uint32_t seq, ack;
	uint16_t wnd;
	uint8_t flags;
};

struct seen {
	int64_t ack[STEPS];     /* octets acknowledged after each step; GONE: a reset; SILENT */
	uint8_t answers[STEPS]; /* segments that came for the step and the question behind it */
	int64_t read;           /* octets, or -errno */
	bool good, eof;
	const char *state;
};

struct receiver {
	const char *name;
	bool (*begin)(void); /* NULL: nothing to do */
	void (*put)(const uint8_t *packet, uint32_t bytes);
	/* The next packet sent, 0: none comes. wait: there should be one. */
	uint32_t (*get)(uint8_t *packet, uint32_t room, bool wait);
	bool (*accepted)(void);
	void (*shut)(void);
	void (*finish)(struct seen *out);
};

static uint8_t octet_of(uint32_t at)
{
	return (uint8_t)(at % 251 ^ at / 251);
}

static void check_read(struct seen *out, const uint8_t *b, int64_t n)
{
	out->good = true;
	for (int64_t i = 0; i < n; i++)
		out->good &= b[i] == octet_of((uint32_t)i);
}

/* ---- The kernel ---- */

static int tun, listener, conn = -1;
static uint8_t text[1 << 20];

static int open_tun(void)
{
	struct ifreq r;
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);

	memset(&r, 0, sizeof(r));
	r.ifr_flags = IFF_TUN | IFF_NO_PI;
	memcpy(r.ifr_name, "tun0", 5);
	return fd < 0 || ioctl(fd, TUNSETIFF, &r) ? -1 : fd;
}

static bool kernel_once(void)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(US)};
	int room = 1 << 20, on = 1;

	tun = open_tun();
	if (tun < 0 || system("ip addr add 192.0.2.1/24 dev tun0 && ip link set tun0 up"))
		return false;
	listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	return bind(listener, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(listener, 16) == 0;
}

static void kernel_put(const uint8_t *packet, uint32_t bytes)
{
	if (write(tun, packet, bytes) != (ssize_t)bytes)
		perror("receiver: write");
}
static uint32_t kernel_get(uint8_t *packet, uint32_t room, bool wait)
{
	struct pollfd p = {tun, POLLIN, 0};
	ssize_t n;

	if (poll(&p, 1, wait ? 300 : 0) != 1)
		return 0;
	n = read(tun, packet, room);
	return n > 0 ? (uint32_t)n : 0;
}
static bool kernel_accepted(void)
{
	conn = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	return conn >= 0;
}
static void kernel_shut(void)
{
	shutdown(conn, SHUT_WR);
}

static void kernel_finish(struct seen *out)
{
	static const char *names[] = {"?", "ESTABLISHED", "?", "SYN-RECEIVED", "FIN-WAIT-1",
		"FIN-WAIT-2", "CLOSED", "CLOSED", "CLOSE-WAIT", "LAST-ACK", "?", "CLOSING"};
	struct linger now = {1, 0};
	struct tcp_info i;
	socklen_t n = sizeof(i);
	ssize_t r;

	getsockopt(conn, IPPROTO_TCP, TCP_INFO, &i, &n);
	out->state = names[i.tcpi_state < 12 ? i.tcpi_state : 0];
	out->read = 0;
	while ((r = recv(conn, text + out->read, sizeof(text) - (size_t)out->read, 0)) > 0)
		out->read += r;
	check_read(out, text, out->read);
	out->eof = r == 0;
	if (r < 0 && errno != EAGAIN)
		out->read = -errno;
	setsockopt(conn, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(conn);
	conn = -1;
	while (kernel_get(text, sizeof(text), false))
		;
}

/* ---- The stack ---- */

static struct {
	struct tg *s;
	void *mem;
	int netif;
	tg_sock listener, conn;
	uint64_t now_ns;
	uint8_t out[64][2048];
	uint32_t bytes[64], first, last;
} st;

static bool stack_transmit(void *dev, const struct tg_frame *f)
{
	uint32_t n = 0;

	(void)dev;
	if (st.last - st.first == 64 || f->bytes > sizeof(st.out[0]))
		return false;
	for (uint32_t i = 0; i < f->n_spans; i++) {
		memcpy(st.out[st.last % 64] + n, f->span[i].base, f->span[i].len);
		n += f->span[i].len;
	}
	st.bytes[st.last++ % 64] = n;
	return true;
}

static bool stack_begin(void)
{
	struct tg_netif_config n = {
		.name = "tun0", .link = TG_LINK_IP, .mtu = 1500, .transmit = stack_transmit};
	struct tg_ip ip = tg_ip4_of(US);
	struct tg_addr a = {ip, PORT};
	struct tg_config c;

	if (st.mem)
		munmap(st.mem, MEM_BYTES);
	memset(&st, 0, sizeof(st));
	st.mem = mmap(NULL, MEM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (st.mem == MAP_FAILED)
		return false;
	tg_config_default(&c);
	c.seed[0] = 5;
	st.now_ns = 1000000000;
	st.s = tg_create(&c, st.mem, MEM_BYTES, st.now_ns);
	st.netif = st.s ? tg_netif_add(st.s, &n, st.now_ns) : -1;
	return st.netif > 0 && tg_addr_add(st.s, (unsigned)st.netif, &ip, 24, st.now_ns) == 0 &&
	       tg_sock_open(st.s, TG_STREAM, 0, 0, &st.listener) == 0 &&
	       tg_sock_bind(st.s, st.listener, &a) == 0 &&
	       tg_sock_listen(st.s, st.listener, 16, st.now_ns) == 0;
}

static void stack_put(const uint8_t *packet, uint32_t bytes)
{
	struct tg_pkt *p = tg_pkt_alloc(st.s, bytes);

	if (!p)
		return;
	memcpy(tg_pkt_block(p), packet, bytes);
	p->len = bytes;
	st.now_ns += 100000;
	tg_input(st.s, (unsigned)st.netif, p, st.now_ns);
	tg_step(st.s, st.now_ns);
}
static uint32_t stack_get(uint8_t *packet, uint32_t room, bool wait)
{
	uint32_t n;

	(void)wait;
	if (st.first == st.last)
		return 0;
	n = st.bytes[st.first % 64];
	memcpy(packet, st.out[st.first++ % 64], n < room ? n : room);
	return n;
}
static bool stack_accepted(void)
{
	return tg_sock_accept(st.s, st.listener, 1, &st.conn, st.now_ns) == 0;
}
static void stack_shut(void)
{
	tg_sock_shutdown(st.s, st.conn, TG_SHUT_WR, st.now_ns);
	tg_step(st.s, st.now_ns);
}

static void stack_finish(struct seen *out)
{
	struct tg_tcp_info i;
	int64_t r;

	out->state =
		tg_tcp_status(st.s, st.conn, &i) == 0 ? tg_state_name((enum tg_state)i.state) : "?";
	/* what the kernel keeps of a connection in TIME-WAIT is no longer the socket's */
	if (strcmp(out->state, "TIME-WAIT") == 0)
		out->state = "CLOSED";
	out->read = 0;
	while ((r = tg_sock_recv(st.s, st.conn, text + out->read, sizeof(text) - (size_t)out->read,
			0, st.now_ns)) > 0)
		out->read += r;
	check_read(out, text, out->read);
	out->eof = r == 0;
	if (r < 0 && r != -TG_EAGAIN)
		out->read = r;
}

static const struct receiver receivers[2] = {
	{"kernel", NULL, kernel_put, kernel_get, kernel_accepted, kernel_shut, kernel_finish},
	{"stack", stack_begin, stack_put, stack_get, stack_accepted, stack_shut, stack_finish},
};

/* ---- The sender ---- */

static struct {
	const struct receiver *r;
	uint16_t port;
	uint32_t iss, snd_ack; /* what it acknowledges */
	uint32_t acked, edge;  /* of what the receiver told */
	bool gone;
} snd;

static void put16(uint8_t *b, uint32_t v)
{
	b[0] = (uint8_t)(v >> 8);
	b[1] = (uint8_t)v;
}
static void put32(uint8_t *b, uint32_t v)
{
	put16(b, v >> 16);
	put16(b + 2, v & 0xffff);
}
static uint32_t get16(const uint8_t *b)
{
	return (uint32_t)b[0] << 8 | b[1];
}
static uint32_t get32(const uint8_t *b)
{
	return get16(b) << 16 | get16(b + 2);
}
static uint32_t sum(const uint8_t *b, uint32_t n, uint32_t s)
{
	for (uint32_t i = 0; i < n; i++)
		s += i & 1 ? b[i] : (uint32_t)b[i] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

/* A segment with the octets of the stream that its sequence number says. */
static void send_segment(uint32_t seq, uint8_t flags, uint32_t len)
{
	static const uint8_t syn_options[] = {2, 4, 5, 180, 4, 2, 1, 1};
	uint8_t b[1600] = {0x45}, *t = b + 20;
	uint32_t opts = flags & SYN ? sizeof(syn_options) : 0, n = 40 + opts + len;

	put16(b + 2, n);
	b[6] = 0x40;
	b[8] = 64;
	b[9] = IPPROTO_TCP;
	put32(b + 12, SENDER);
	put32(b + 16, US);
	put16(b + 10, ~sum(b, 20, 0) & 0xffff);
	put16(t, snd.port);
	put16(t + 2, PORT);
	put32(t + 4, seq);
	put32(t + 8, flags & ACK ? snd.snd_ack : 0);
	t[12] = (uint8_t)((20 + opts) / 4 << 4);
	t[13] = flags;
	put16(t + 14, 65535);
	memcpy(t + 20, syn_options, opts);
	for (uint32_t i = 0; i < len; i++)
		t[20 + opts + i] = octet_of(seq - snd.iss - 1 + i);
	put16(t + 16, ~sum(t, n - 20, sum(b + 12, 8, IPPROTO_TCP + n - 20)) & 0xffff);
	snd.r->put(b, n);
}

/* The next segment for us; false: none. Others, such as the kernel's multicast, are passed over. */
static bool next_segment(struct segment *g, bool wait)
{
	uint8_t b[2048];
	uint32_t n;

	while ((n = snd.r->get(b, sizeof(b), wait)) > 0) {
		const uint8_t *t = b + (b[0] & 15) * 4;

		if (n < 40 || b[0] >> 4 != 4 || b[9] != IPPROTO_TCP || get16(t + 2) != snd.port)
			continue;
		*g = (struct segment){get32(t + 4), get32(t + 8), (uint16_t)get16(t + 14), t[13]};
		return true;
	}
	return false;
}

/* Reads what the receiver sent; returns how many segments. */
static uint32_t listen_to_it(bool wait)
{
	struct segment g;
	uint32_t n = 0;

	while (next_segment(&g, wait && !n)) {
		n++;
		if (g.flags & RST) {
			snd.gone = true;
			continue;
		}
		snd.acked = g.ack;
		if ((int32_t)(g.ack + g.wnd - snd.edge) > 0)
			snd.edge = g.ack + g.wnd;
	}
	return n;
}

static bool handshake(const struct script *s)
{
	struct segment g;

	snd.iss = (uint32_t)(s->seed * 2654435761u) - (s->seed % 3 ? 0 : 3000);
	snd.gone = false;
	send_segment(snd.iss, SYN, 0);
	if (!next_segment(&g, true) || (g.flags & (SYN | ACK | RST)) != (SYN | ACK))
		return false;
	snd.snd_ack = g.seq + 1;
	snd.acked = g.ack;
	snd.edge = g.ack + g.wnd;
	send_segment(snd.iss + 1, ACK, 0);
	if (!snd.r->accepted())
		return false;
	if (s->mode == READS)
		return true;
	snd.r->shut();
	if (!next_segment(&g, true) || !(g.flags & FIN))
		return false;
	snd.snd_ack += s->mode == HALF_CLOSED;
	send_segment(snd.iss + 1, ACK, 0);
	return true;
}

static void take_step(const struct step *t, struct seen *out, uint32_t i)
{
	uint32_t from = t->anchor == STREAM ? snd.iss + 1
			: t->anchor == EDGE ? snd.edge
					    : snd.acked,
		 n, answers;

	send_segment(t->anchor == OLD ? from - t->off : from + t->off,
		ACK | PSH | (t->fin ? FIN : 0), t->len);
	n = listen_to_it(false);
	send_segment(snd.acked - 1, ACK, 1);
	answers = listen_to_it(true);
	out->ack[i] = answers ? (int64_t)(uint32_t)(snd.acked - snd.iss - 1) : SILENT;
	out->answers[i] = (uint8_t)(n + answers);
	if (snd.gone)
		out->ack[i] = GONE;
}

static bool play(const struct script *s, const struct receiver *r, struct seen *out)
{
	memset(out, 0, sizeof(*out));
	snd.r = r;
	snd.port = (uint16_t)(10000 + s->seed % 50000);
	if ((r->begin && !r->begin()) || !handshake(s)) {
		printf("# %s: no handshake\n", r->name);
		return false;
	}
	for (uint32_t i = 0; i < s->n; i++)
		take_step(&s->step[i], out, i);
	r->finish(out);
	return true;
}

/* ---- Judging ---- */

static const char *differ(const struct script *s, const struct seen *a, const struct seen *b)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (a->ack[i] != b->ack[i])
			return "ACK numbers";
	/* What moves nothing is answered at once; what is in order may wait. Behind the FIN the
	 * kernel ignores what the stack acknowledges once more: RFC 9293 leaves that open. */
	for (uint32_t i = 1; i < s->n; i++)
		if (a->ack[i] == a->ack[i - 1] && a->ack[i] <= s->stream &&
			a->answers[i] != b->answers[i])
			return "answers";
	if (!a->good || !b->good || a->read != b->read || a->eof != b->eof)
		return "bytes";
	return strcmp(a->state, b->state) ? "states" : NULL;
}

static void show(const struct script *s, const struct seen *a, const struct seen *b)
{
	static const char *anchors[] = {"", "edge + ", "acked - "};

	for (uint32_t i = 0; i < s->n; i++) {
		const struct step *t = &s->step[i];

		printf("# %s%2u: %s%u, %u octets%s: kernel %ld (%u), stack %ld (%u)\n",
			a->ack[i] == b->ack[i] ? " " : ">", i, anchors[t->anchor], t->off, t->len,
			t->fin ? " FIN" : "", (long)a->ack[i], a->answers[i], (long)b->ack[i],
			b->answers[i]);
	}
	printf("# mode %d, stream %u; kernel: %s, read %ld%s%s; stack: %s, read %ld%s%s\n",
		(int)s->mode, s->stream, a->state, (long)a->read, a->eof ? ", end" : "",
		a->good ? "" : ", WRONG", b->state, (long)b->read, b->eof ? ", end" : "",
		b->good ? "" : ", WRONG");
}

int main(int argc, char **argv)
{
	uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 0) : 1,
		 count = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	uint32_t failed = 0, full = 0;
	bool verbose = argc > 3;

	if (!kernel_once()) {
		perror("receiver: tun0");
		return 2;
	}
	for (uint64_t seed = first; seed < first + count; seed++) {
		struct script s;
		struct seen k, t;
		const char *what;

		draw_script(&s, seed);
		what = play(&s, &receivers[0], &k) && play(&s, &receivers[1], &t)
			       ? differ(&s, &k, &t)
			       : "no connection";
		full += !what && k.eof && k.read == s.stream;
		failed += what != NULL;
		if (what)
			printf("# seed %lu: other %s\n", (unsigned long)seed, what);
		if ((what && strcmp(what, "no connection") != 0) || verbose)
			show(&s, &k, &t);
	}
	printf("# %lu scripts, %u differ, %u streams whole with their end\n", (unsigned long)count,
		failed, full);
	return failed || (count >= 100 && full < count / 10);
}

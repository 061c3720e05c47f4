/* libFuzzer target: an instance with listeners, an established connection and a UDP socket gets
 * what a hostile network and a careless application can do: frames of any bytes, segments with
 * valid checksums around the edges of the window, fragments, ICMP errors, calls, and time. After
 * each step it holds that every frame was delivered or dropped, and that memory stays within the
 * budget. Each input starts from the same snapshot, so that a finding is reproduced by its file
 * alone.
 *
 * An input is a sequence of operations: a byte that chooses, then its arguments. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tapglass.h"
#include "tapglass_inspect.h"

#define RESERVE_BYTES (256u << 20)
#define BUDGET_BYTES  (8u << 20)
#define OPS_MAX       400
#define CLIENT_PORT   1000u
#define OUR_ISN       0xfffffe00u /* wraps early */

static const uint8_t mac_us[6] = {2, 0, 0, 0, 0, 2}, mac_peer[6] = {2, 0, 0, 0, 0, 1};

static struct tg *s;
static uint64_t now;
static tg_sock conn, udp;
static uint32_t snd_nxt, peer_nxt; /* of the peer: what it sends next, what it expects */
static void *image;
static size_t image_bytes;
static struct {
	uint64_t now;
	tg_sock conn;
	uint32_t snd_nxt, peer_nxt;
} start;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- The peer ---------------------------------------------------------------------------------
 */

static uint32_t load32(const uint8_t *b)
{
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void store16(uint8_t *b, uint32_t v)
{
	b[0] = (uint8_t)(v >> 8);
	b[1] = (uint8_t)v;
}

static void store32(uint8_t *b, uint32_t v)
{
	store16(b, v >> 16);
	store16(b + 2, v & 0xffff);
}

static uint32_t sum(const uint8_t *b, size_t n, uint32_t start_sum)
{
	uint64_t t = start_sum;

	for (size_t i = 0; i < n; i++)
		t += i % 2 ? b[i] : (uint32_t)b[i] << 8;
	while (t >> 16)
		t = (t & 0xffff) + (t >> 16);
	return (uint32_t)t;
}

static bool transmit(void *dev, const struct tg_frame *f)
{
	const uint8_t *b = f->span[0].base;
	uint32_t bytes = 0;

	(void)dev;
	for (uint32_t i = 0; i < f->n_spans; i++) {
		/* Every byte is really there. */
		for (uint32_t j = 0; j < f->span[i].len; j++)
			bytes += ((const volatile uint8_t *)f->span[i].base)[j] ? 1 : 0;
	}
	/* What the stack sends on the connection tells the peer where it stands. */
	if (f->span[0].len >= 54 && b[12] == 8 && b[13] == 0 && b[23] == 6 && b[35] == 7 &&
		(b[47] & 2))
		peer_nxt = load32(b + 38) + 1;
	return bytes != UINT32_MAX;
}

static void input(const uint8_t *b, size_t n)
{
	const struct tg_counters *c = tg_counters(s);
	struct tg_pkt *p = tg_pkt_alloc(s, (uint32_t)n);

	if (p) {
		memcpy(p->data, b, n);
		p->len = (uint32_t)n;
		tg_input(s, 1, p, now);
	}
	if (c->frames_in != c->frames_delivered + c->frames_dropped)
		abort();
}

/* An IPv4 datagram from the peer, with the checksums right. */
static void input_ip(uint8_t proto, uint32_t frag, const uint8_t *body, size_t n)
{
	uint8_t b[14 + 20 + 2048];
	uint8_t *ip = b + 14, *l4 = ip + 20;
	size_t at = proto == 6 ? 16 : proto == 17 ? 6 : 2;

	memcpy(b, mac_us, 6);
	memcpy(b + 6, mac_peer, 6);
	store16(b + 12, 0x0800);
	memset(ip, 0, 20);
	ip[0] = 0x45;
	store16(ip + 2, (uint32_t)n + 20);
	store16(ip + 4, 77);
	store16(ip + 6, frag);
	ip[8] = 64;
	ip[9] = proto;
	memcpy(ip + 12, "\xc0\0\2\1\xc0\0\2\2", 8);
	store16(ip + 10, ~sum(ip, 20, 0) & 0xffff);
	if (n)
		memcpy(l4, body, n);
	if (n >= at + 2 && (frag & 0x1fff) == 0) {
		uint32_t pseudo = proto == 1 ? 0 : sum(ip + 12, 8, proto + (uint32_t)n);

		store16(l4 + at, 0);
		store16(l4 + at, ~sum(l4, n, pseudo) & 0xffff);
	}
	input(b, 34 + n);
}

static void input_tcp(uint32_t port, uint8_t flags, uint32_t seq, uint32_t ack, uint32_t wnd,
	const uint8_t *opts, size_t n_opts, size_t text)
{
	uint8_t t[20 + 40 + 1400] = {0};
	size_t head = 20 + (n_opts & ~(size_t)3);

	store16(t, CLIENT_PORT);
	store16(t + 2, port);
	store32(t + 4, seq);
	store32(t + 8, ack);
	t[12] = (uint8_t)(head / 4 << 4);
	t[13] = flags;
	store16(t + 14, wnd);
	if (opts)
		memcpy(t + 20, opts, n_opts & ~(size_t)3);
	memset(t + head, 'x', text);
	input_ip(6, 0, t, head + text);
}

static void step(void)
{
	struct tg_event e;
	struct tg_trace r;
	uint64_t cursor = 0;

	tg_step(s, now);
	while (tg_event(s, &e))
		tg_sock_ready(s, e.sock);
	if (tg_trace_next(s, &cursor, &r, NULL) && r.reason >= TG_DROP_COUNT + TG_CAUSE_COUNT)
		abort();
}

/* ---- Operations -------------------------------------------------------------------------------
 */

struct script {
	const uint8_t *b;
	size_t n;
};

static uint8_t take(struct script *d)
{
	if (!d->n)
		return 0;
	d->n--;
	return *d->b++;
}

static const uint8_t *take_bytes(struct script *d, size_t *n)
{
	const uint8_t *b = d->b;

	*n = *n < d->n ? *n : d->n;
	d->b += *n;
	d->n -= *n;
	return b;
}

/* A number near zero, near 2^15, 2^16 or 2^31, of either sign. */
static uint32_t take_offset(struct script *d)
{
	static const uint32_t around[] = {0, 0, 0, 1460, 0x8000, 0x10000, 0x7fffffff, 0x400000};
	uint8_t k = take(d), v = take(d);

	return (k & 8 ? 0u - around[k & 7] : around[k & 7]) + (k & 16 ? 0u - v : (uint32_t)v);
}

static void op_tcp(struct script *d, uint8_t k)
{
	static const uint16_t texts[] = {0, 1, 100, 1400};
	uint8_t flags = take(d), more = take(d);
	uint32_t seq = snd_nxt + take_offset(d), ack = peer_nxt + take_offset(d);
	size_t n_opts = (more & 0x3c) % 44, text = texts[more & 3];
	const uint8_t *opts = take_bytes(d, &n_opts);

	input_tcp(k & 1 ? 80 : 7, flags, seq, ack, more & 0x40 ? 0 : 65535, opts, n_opts, text);
	if (more & 0x80)
		snd_nxt = seq + (uint32_t)text;
}

static void op_call(struct script *d)
{
	static uint8_t buf[70000];
	uint8_t k = take(d), n = take(d);
	struct tg_mspan m[2];
	struct tg_span v[4];
	struct tg_sock_row row;
	uint64_t cursor = 0;
	tg_sock other;
	int got;

	switch (k % 12) {
	case 0: tg_sock_send(s, conn, buf, n * 250u, k & 0x80 ? TG_MSG_MORE : 0, now); break;
	case 1: tg_sock_recv(s, conn, buf, n * 250u, k & 0x80 ? TG_MSG_PEEK : 0, now); break;
	case 2:
		if ((got = tg_sock_peek(s, conn, v, 4)) > 0)
			tg_sock_consume(s, conn, v[0].len < n ? v[0].len : n, now);
		break;
	case 3:
		if ((got = tg_sock_reserve(s, conn, n * 250u, m)) > 0) {
			memset(m[0].base, 'y', m[0].len);
			tg_sock_commit(s, conn, m[0].len, 0, now);
		}
		break;
	case 4: tg_sock_shutdown(s, conn, n % 3, now); break;
	case 5: tg_sock_close(s, conn, now); break;
	case 6: tg_sock_abort(s, conn, now); break;
	case 7:
		tg_sock_setopt(
			s, conn, (enum tg_option)(n % 22), (int64_t)((uint64_t)n << (k >> 2)), now);
		break;
	case 8: tg_sock_recvfrom(s, udp, buf, n * 250u, 0, NULL, now); break;
	case 9: {
		struct tg_dgram to = {.peer = {tg_ip4(192, 0, 2, k & 0x80 ? 1 : n), n}};

		tg_sock_sendto(s, udp, buf, n * 250u, 0, &to, now);
		break;
	}
	case 10:
		if (tg_sock_open(s, TG_STREAM, 0, 0, &other) == 0) {
			struct tg_addr a = {tg_ip4(192, 0, 2, 1), n};

			tg_sock_connect(s, other, &a, now);
			conn = k & 0x80 ? other : conn;
		}
		break;
	default:
		while (tg_table_socks(s, &cursor, &row))
			;
		break;
	}
}

static void op(struct script *d)
{
	uint8_t k = take(d);
	size_t n;
	const uint8_t *b;
	uint8_t frame[1514] = {0};

	switch (k % 8) {
	case 0:
	case 1:
	case 2: op_tcp(d, k >> 3); break;
	case 3: op_call(d); break;
	case 4: /* time: up to two minutes, or to the next deadline */
		n = take(d);
		now = k & 0x80 ? tg_next_deadline(s) == UINT64_MAX || tg_next_deadline(s) < now
					 ? now
					 : tg_next_deadline(s)
			       : now + (n << (k >> 3)) * 100000u;
		break;
	case 5: /* a datagram of any bytes, fragment or not */
		n = take(d) * 4u;
		b = take_bytes(d, &n);
		input_ip((const uint8_t[]){1, 17, 6, 2}[k >> 3 & 3],
			k & 0x20 ? (uint32_t)(take(d) | (k & 0x40 ? 0x2000 : 0)) : 0, b, n);
		break;
	case 6: /* any bytes with a link header for us */
		n = take(d) * 5u;
		b = take_bytes(d, &n);
		memcpy(frame, mac_us, 6);
		memcpy(frame + 6, mac_peer, 6);
		store16(frame + 12, k & 8 ? 0x0806 : 0x0800);
		memcpy(frame + 14, b, n);
		input(frame, 14 + n);
		break;
	default: /* any bytes at all */
		n = take(d);
		b = take_bytes(d, &n);
		input(b, n);
		break;
	}
	if (!(k & 0x80) || k % 8 == 4)
		step();
}

/* ---- Start ------------------------------------------------------------------------------------
 */

static void listen_on(uint16_t port)
{
	struct tg_addr a = {.port = port};
	tg_sock k;

	if (tg_sock_open(s, TG_STREAM, 0, 0, &k) || tg_sock_bind(s, k, &a) ||
		tg_sock_listen(s, k, 8, now))
		abort();
	if (port != 7)
		return;
	/* The established connection: handshake with SACK, timestamps off, scale 7. */
	input_tcp(7, 0x02, OUR_ISN, 0, 65535, (const uint8_t *)"\2\4\5\xb4\4\2\1\3\3\7\1\0", 12, 0);
	step();
	snd_nxt = OUR_ISN + 1;
	input_tcp(7, 0x10, snd_nxt, peer_nxt, 65535, NULL, 0, 0);
	step();
	if (tg_sock_accept(s, k, 0, &conn, now))
		abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct tg_netif_config n = {.name = "fuzz",
		.link = TG_LINK_ETHERNET,
		.mtu = 1500,
		.caps = TG_CAP_CSUM | TG_CAP_TSO4 | TG_CAP_USO4,
		.transmit = transmit};
	struct tg_ip us = tg_ip4(192, 0, 2, 2);
	struct tg_addr any = {.port = 7};
	uint8_t arp[42] = {0};
	struct tg_config c;
	void *mem = mmap(NULL, RESERVE_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	(void)argc;
	(void)argv;
	tg_config_default(&c);
	memset(c.seed, 7, sizeof(c.seed));
	c.budget_bytes = BUDGET_BYTES;
	c.trace_records = 256;
	c.tcp.rcvbuf_bytes = c.tcp.sndbuf_bytes = 1u << 20;
	now = 1000000000;
	memcpy(n.mac, mac_us, 6);
	if (mem == MAP_FAILED || !(s = tg_create(&c, mem, RESERVE_BYTES, now)) ||
		tg_netif_add(s, &n, now) != 1 || tg_addr_add(s, 1, &us, 24, now))
		abort();
	/* The peer introduces itself by ARP. */
	memcpy(arp, mac_us, 6);
	memcpy(arp + 6, mac_peer, 6);
	memcpy(arp + 12, "\x08\x06\0\1\x08\0\6\4\0\1", 10);
	memcpy(arp + 22, mac_peer, 6);
	memcpy(arp + 28, "\xc0\0\2\1", 4);
	memcpy(arp + 38, "\xc0\0\2\2", 4);
	input(arp, sizeof(arp));
	step();
	if (tg_sock_open(s, TG_DGRAM, 0, 0, &udp) || tg_sock_bind(s, udp, &any))
		abort();
	listen_on(7);
	listen_on(80);
	image_bytes = tg_snapshot_bytes(s);
	image = malloc(image_bytes);
	if (!image || tg_snapshot_save(s, image, image_bytes) == 0)
		abort();
	start.now = now;
	start.conn = conn;
	start.snd_nxt = snd_nxt;
	start.peer_nxt = peer_nxt;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script d = {data, size};
	struct tg_memory m;

	if (!tg_snapshot_restore(s, image, image_bytes))
		abort();
	now = start.now;
	conn = start.conn;
	snd_nxt = start.snd_nxt;
	peer_nxt = start.peer_nxt;
	for (int i = 0; i < OPS_MAX && d.n; i++)
		op(&d);
	step();
	tg_memory_stats(s, &m);
	if (m.in_use_bytes > BUDGET_BYTES)
		abort();
	return 0;
}

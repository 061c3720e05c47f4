/* Fuzz: journals by somebody who means harm. A run with every type of record is recorded once; an
 * input copies its records, changes their words and strings, leaves some out, doubles and moves
 * others, makes up new ones, and cuts the end off. The hashes are made good again, so that the
 * replay believes them; and where it notices that the instance did something else than recorded, it
 * is told to go on, as it would if the harmful had written the right result. Or the hashes are left
 * as they are.
 *
 * Held: replaying ends, inside the file; each frame is delivered or dropped; memory stays within
 * what was reserved, whose end is guarded; the same again the second time. */
#define _DEFAULT_SOURCE
#include <stdlib.h>
#include <sys/mman.h>

#include "core/core.h"
#include "fuzz.h"
#include "sim/journal.h"
#include "wire/ip4.h"

#define RESERVED    (16u << 20)
#define FILE_BYTES  (1u << 20)
#define RECORDS_MAX 512u
#define GUARD       4096u
#define US          0x0a000002u
#define PEER        0x0a000001u

const char *const fuzz_seeds[] = {
	/* as it was recorded */
	"00 00 ff",
	/* the same, going on after differences; words and strings changed here and there */
	"01 00 08 01 05 02 07 00 04 02 00 03 09 00 ff",
	"01 00 10 01 02 01 80 00 08 01 03 00 ff 00 ff",
	/* left out, doubled, moved */
	"01 00 20 03 02 00 10 04 05 00 20 04 30 00 ff",
	/* made up: a step far ahead, an input, a socket */
	"01 00 0c 05 0c 02 ff 05 0b 00 01 02 05 03 00 10 00 ff",
	/* another configuration */
	"03 40 05 99 00 ff",
	/* hashes that do not fit, an end within a record */
	"04 00 06 01 01 01 00 ff",
	"09 00 ff",
	/* the end of time */
	"2a 14 13 00 b1 00 00 1d",
	NULL,
};

/* ---- What is recorded ------------------------------------------------------------------------ */

static struct {
	uint8_t data[FILE_BYTES];
	size_t bytes;
	uint32_t n, at[RECORDS_MAX];
} book;

static bool book_write(void *arg, const void *data, size_t n)
{
	(void)arg;
	FUZZ_CHECK(book.bytes + n <= sizeof(book.data));
	memcpy(book.data + book.bytes, data, n);
	book.bytes += n;
	return true;
}

static bool transmit(void *dev, const struct tg_frame *f)
{
	unsigned *n = dev;

	(void)f;
	return ++*n % 5 != 0; /* busy now and then */
}

static void run(struct tg *s, uint64_t *now_ns, uint64_t ns)
{
	uint64_t end_ns = *now_ns + ns;

	for (unsigned i = 0; i < 40 && tg_next_deadline(s) <= end_ns; i++)
		tg_step(s, *now_ns = max_u64(*now_ns, tg_next_deadline(s)));
	tg_step(s, *now_ns = end_ns);
}

/* A datagram from the peer to our port 7. */
static void datagram_in(struct tg *s, unsigned netif, uint64_t now_ns)
{
	static const uint8_t udp[] = {0, 9, 0, 7, 0, 12, 0, 0, 'a', 'b', 'c', 'd'};
	struct ip4_hdr h = {.src = PEER,
		.dst = US,
		.ttl = 64,
		.proto = IP_PROTO_UDP,
		.hdr_bytes = IP4_HDR_BYTES,
		.total_bytes = IP4_HDR_BYTES + sizeof(udp)};
	struct tg_pkt *p = tg_pkt_alloc(s, 2048);

	FUZZ_CHECK(p);
	ip4_emit(p->data, &h);
	memcpy(p->data + IP4_HDR_BYTES, udp, sizeof(udp));
	p->len = h.total_bytes;
	tg_input(s, netif, p, now_ns);
}

static void datagrams(struct tg *s, unsigned netif, uint64_t *now_ns)
{
	struct tg_addr a = {tg_ip4_of(US), 7};
	struct tg_dgram to = {.peer = {tg_ip4_of(PEER), 9}}, from;
	char text[64];
	tg_sock u;

	tg_sock_open(s, TG_DGRAM, 0, 5, &u);
	tg_sock_bind(s, u, &a);
	datagram_in(s, netif, *now_ns);
	tg_sock_recvfrom(s, u, text, sizeof(text), 0, &from, *now_ns);
	tg_sock_sendto(s, u, "a datagram", 10, 0, &to, *now_ns);
	run(s, now_ns, NS_PER_MS);
	tg_pkt_free(s, tg_pkt_alloc(s, 100));
	tg_sock_close(s, u, *now_ns);
}

/* Both ends of a connection, over the loopback; and a call to somebody who does not answer. */
static void streams(struct tg *s, uint64_t *now_ns)
{
	struct tg_addr a = {tg_ip4_of(US), 80}, far = {tg_ip4_of(PEER), 80};
	static char text[5000];
	struct tg_mspan room[2];
	struct tg_span span[8];
	struct tg_event e;
	int64_t v;
	tg_sock l, c, d, x;

	tg_sock_open(s, TG_STREAM, 0, 1, &l);
	tg_sock_bind(s, l, &a);
	tg_sock_listen(s, l, 4, *now_ns);
	tg_sock_open(s, TG_STREAM, 0, 2, &c);
	tg_sock_setopt(s, c, TG_SO_SNDBUF, 60000, *now_ns);
	tg_sock_connect(s, c, &a, *now_ns);
	run(s, now_ns, 10 * NS_PER_MS);
	FUZZ_CHECK(tg_sock_accept(s, l, 3, &d, *now_ns) == 0);
	tg_sock_send(s, c, text, sizeof(text), 0, *now_ns);
	FUZZ_CHECK(tg_sock_reserve(s, c, 100, room) > 0);
	memset(room[0].base, 'r', room[0].len);
	tg_sock_commit(s, c, room[0].len, 0, *now_ns);
	run(s, now_ns, 50 * NS_PER_MS);
	FUZZ_CHECK(tg_sock_peek(s, d, span, 8) > 0);
	tg_sock_consume(s, d, 10, *now_ns);
	tg_sock_recv(s, d, text, 1000, 0, *now_ns);
	while (tg_event(s, &e))
		;
	tg_sock_getopt(s, d, TG_SO_RCVBUF, &v);
	tg_sock_open(s, TG_STREAM, 0, 4, &x);
	tg_sock_connect(s, x, &far, *now_ns);
	run(s, now_ns, 2 * NS_PER_SEC);
	tg_sock_abort(s, x, *now_ns);
	tg_sock_shutdown(s, c, TG_SHUT_WR, *now_ns);
	run(s, now_ns, 50 * NS_PER_MS);
	tg_sock_close(s, d, *now_ns);
	tg_sock_close(s, c, *now_ns);
	tg_sock_close(s, l, *now_ns);
	run(s, now_ns, 90 * NS_PER_SEC);
}

static void *map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	FUZZ_CHECK(p != MAP_FAILED);
	return p;
}

static void record_run(uint8_t *mem)
{
	struct tg_recorder rec = {.write = book_write, .max_bytes = FILE_BYTES};
	unsigned sent = 0;
	struct tg_netif_config n = {
		.name = "n0", .link = TG_LINK_IP, .mtu = 1500, .transmit = transmit, .dev = &sent};
	struct tg_ip us = tg_ip4_of(US), net = tg_ip4_of(0xcb007100);
	uint64_t now_ns = 1000 * NS_PER_SEC;
	struct tg_config c;
	uint32_t payload;
	struct tg *s;
	int netif;

	tg_config_default(&c);
	c.seed[0] = 1;
	s = tg_create(&c, mem, RESERVED, now_ns);
	FUZZ_CHECK(s && tg_record_start(&rec, s, "fuzz") == 0);
	netif = tg_netif_add(s, &n, now_ns);
	FUZZ_CHECK(netif >= 0 && tg_addr_add(s, (unsigned)netif, &us, 24, now_ns) == 0);
	tg_route_add(s, &net, 24, NULL, (unsigned)netif, 1, now_ns);
	tg_route_del(s, &net, 24, NULL, (unsigned)netif, now_ns);
	datagrams(s, (unsigned)netif, &now_ns);
	streams(s, &now_ns);
	tg_memory_fail_after(s, 0, 0);
	FUZZ_CHECK(tg_record_stop(&rec) == TG_RECORD_STOPPED);
	for (size_t at = 0; at < book.bytes; at += payload + 16) {
		FUZZ_CHECK(book.n < RECORDS_MAX);
		book.at[book.n++] = (uint32_t)at;
		memcpy(&payload, book.data + at, 4);
	}
}

/* ---- What the input makes of it -------------------------------------------------------------- */

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

static uint64_t take_word(struct script *d, uint64_t was)
{
	static const uint64_t odd[] = {UINT64_MAX, 1ull << 63, 1ull << 32, UINT32_MAX, 1ull << 31,
		65535, 65536, TG_RECORD_BYTES_MAX, TG_RECORD_BYTES_MAX + 1ull};
	uint8_t how = take(d);
	uint64_t v = 0;

	switch (how & 7) {
	case 0: return take(d);
	case 1: return odd[take(d) % ARRAY_LEN(odd)];
	case 2: return was + take(d);
	case 3: return was - take(d);
	case 4: return was ^ 1ull << (take(d) & 63);
	case 5: return (uint64_t) - (int64_t)take(d);
	case 6: return was + ((uint64_t)take(d) << 28); /* about a quarter of a second each */
	default:
		for (unsigned i = 0; i < 8; i++)
			v = v << 8 | take(d);
		return v;
	}
}

static struct {
	uint8_t data[FILE_BYTES];
	size_t bytes;
	uint64_t chain;
	bool good; /* hashes fit */
} file;

static uint8_t *record_of(uint32_t i, uint32_t *payload)
{
	uint8_t *at = book.data + book.at[i % book.n];

	memcpy(payload, at, 4);
	return at;
}

/* Appends head and payload, and a hash; as in journal_read, over head, words and lengths, then each
 * string by itself. False: no room. */
static bool append(const uint8_t *rec, uint32_t payload)
{
	uint32_t fixed = min_u32((rec[5] + (uint32_t)rec[6]) * 8, payload), at = fixed;
	uint64_t len, h;

	if (file.bytes + payload + 16 > FILE_BYTES)
		return false;
	h = chain_hash(file.chain, rec, 8);
	h = chain_hash(h, rec + 8, fixed);
	for (uint32_t i = rec[5]; i < fixed / 8; i++) {
		memcpy(&len, rec + 8 + i * 8, 8);
		if (len > payload - at)
			break;
		if (len)
			h = chain_hash(h, rec + 8 + at, (size_t)len);
		at += (uint32_t)len;
	}
	memcpy(file.data + file.bytes, rec, payload + 8);
	if (!file.good)
		h ^= 1;
	memcpy(file.data + file.bytes + payload + 8, &h, 8);
	file.bytes += payload + 16;
	file.chain = h;
	return true;
}

/* A copy of record i with one word, one length or one byte changed. */
static bool append_changed(struct script *d, uint32_t i)
{
	static uint8_t rec[65536 * 2];
	uint32_t payload;
	uint8_t *at = record_of(i, &payload), which = take(d);
	uint64_t v;

	if (payload + 8 > sizeof(rec))
		return append(at, payload);
	memcpy(rec, at, payload + 8);
	if (which < 0xc0 && payload >= 8) {
		uint8_t *w = rec + 8 + which % (rec[5] + (uint32_t)rec[6]) * 8;

		memcpy(&v, w, 8);
		v = take_word(d, v);
		memcpy(w, &v, 8);
	} else {
		rec[(which < 0xe0 ? take(d) % 8u : take(d) * 16u + take(d) % 16u) %
			(payload + 8)] ^= (uint8_t)(1 + take(d) % 255u);
	}
	return append(rec, payload);
}

/* A record that never was: any type, any words, up to three strings of the input's bytes. */
static bool append_new(struct script *d)
{
	uint8_t rec[8 + (TG_RECORD_WORDS + 3) * 8 + 3 * 64], type = take(d);
	uint32_t words, strings = take(d) % 4u, at;
	uint64_t v;

	memset(rec, 0, sizeof(rec));
	rec[4] = (uint8_t)(1 + type % (TG_RECORD_COUNT - 1));
	words = journal_words(rec[4]);
	rec[5] = (uint8_t)words;
	rec[6] = (uint8_t)strings;
	for (uint32_t i = 0; i < words; i++) {
		v = take_word(d, 1000 * NS_PER_SEC);
		memcpy(rec + 8 + i * 8, &v, 8);
	}
	at = 8 + (words + strings) * 8;
	for (uint32_t i = 0; i < strings; i++) {
		v = take(d) % 65u;
		memcpy(rec + 8 + (words + i) * 8, &v, 8);
		for (uint64_t k = 0; k < v; k++)
			rec[at++] = take(d);
	}
	at -= 8;
	memcpy(rec, &at, 4);
	return append(rec, at);
}

/* The first record, by bit 1 of the input with another configuration. */
static void append_begin(struct script *d, uint8_t how)
{
	static uint8_t rec[65536];
	uint32_t payload;
	uint8_t *at = record_of(0, &payload);

	FUZZ_CHECK(payload + 8 <= sizeof(rec));
	memcpy(rec, at, payload + 8);
	for (unsigned i = 0; how & 2 && i < 8 && take(d) & 0x40; i++) {
		uint32_t off = (uint32_t)take(d) << 8;

		off |= take(d);
		rec[8 + off % payload] = take(d);
	}
	append(rec, payload);
}

static void make_file(struct script *d, uint8_t how)
{
	uint32_t i = 1;
	bool goes_on = true;

	file.bytes = 0;
	file.chain = 0;
	file.good = !(how & 4);
	append_begin(d, how);
	for (unsigned ops = 0; goes_on && d->n && ops < 400; ops++) {
		uint8_t op = take(d);
		uint32_t n = 1;
		uint32_t payload;

		switch (op % 6) {
		case 0:
			n = 1u + take(d);
			for (; goes_on && n > 0 && i < book.n; n--, i++)
				goes_on = append(record_of(i, &payload), payload);
			break;
		case 1: goes_on = append_changed(d, i++); break;
		case 2: goes_on = append_changed(d, take(d)); break;
		case 3: i += take(d); break;
		case 4: i = take(d); break;
		default: goes_on = append_new(d); break;
		}
	}
	if (how & 8)
		file.bytes -= min_u64(file.bytes, take(d));
}

/* ---- Replaying ------------------------------------------------------------------------------- */

static struct {
	struct tg_replay r;
	uint8_t *mem, *scratch; /* mem: RESERVED, and a page that nobody may touch */
} f;

static void check(const uint8_t *data, size_t bytes)
{
	const struct tg_replay *r = &f.r;
	struct tg_memory m;

	FUZZ_CHECK(r->file == data && r->at <= bytes && r->n_pkts <= TG_JOURNAL_PKTS_MAX);
	FUZZ_CHECK(r->state == TG_REPLAY_MORE || r->why);
	if (!r->s)
		return;
	FUZZ_CHECK(tg_counters(r->s)->frames_in ==
		   tg_counters(r->s)->frames_delivered + tg_counters(r->s)->frames_dropped);
	tg_memory_stats(r->s, &m);
	FUZZ_CHECK(m.in_use_bytes <= r->reserved_bytes && m.page_bytes <= r->reserved_bytes);
}

/* Replays the file; a number that tells runs apart. */
static uint64_t replay(const uint8_t *data, size_t bytes, bool go_on)
{
	uint64_t h, steps = 0;

	if (!tg_replay_open(&f.r, data, bytes)) {
		check(data, bytes);
		return f.r.state;
	}
	if (f.r.reserved_bytes > RESERVED || f.r.reserved_bytes % 4096 != 0)
		return 0; /* who opens journals gives no more */
	madvise(f.mem, RESERVED, MADV_DONTNEED);
	/* its end is the guard's beginning */
	if (!tg_replay_begin(&f.r, f.mem + RESERVED - f.r.reserved_bytes, f.scratch))
		return f.r.state;
	while (tg_replay_next(&f.r) == TG_REPLAY_MORE ||
		(go_on && f.r.state == TG_REPLAY_DIFFERENT)) {
		f.r.state = TG_REPLAY_MORE;
		FUZZ_CHECK(++steps <= FILE_BYTES / 24);
		check(data, bytes);
	}
	check(data, bytes);
	h = f.r.trace_hash + journal_hash_counters(f.r.s);
	return chain_hash(h + f.r.state, &f.r.calls, sizeof(f.r.calls));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script d = {data, size};
	uint8_t how = take(&d), *guarded;
	uint64_t first;

	if (!f.mem) {
		f.mem = map(RESERVED + GUARD);
		FUZZ_CHECK(mprotect(f.mem + RESERVED, GUARD, PROT_NONE) == 0);
		f.scratch = map(TG_RECORD_BYTES_MAX);
		record_run(f.mem);
		replay(book.data, book.bytes, false);
		FUZZ_CHECK(f.r.state == TG_REPLAY_END && f.r.frames_out > 0);
	}
	make_file(&d, how);
	guarded = fuzz_copy(file.data, file.bytes);
	first = replay(guarded, file.bytes, how & 1);
	if (size % 8 == 0)
		FUZZ_CHECK(replay(guarded, file.bytes, how & 1) == first);
	free(guarded);
	return 0;
}

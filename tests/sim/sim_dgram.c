/* Applications on datagrams: UDP up to 60 KB, which fragments, or several in one call, and pings
 * from a raw socket, beside the streams. Whatever arrives must be exactly something that was sent.
 */
#include "sim.h"

#define HEAD_BYTES 12u

static uint8_t scratch[65536];

static uint64_t dgram_key(uint32_t host, uint32_t number)
{
	return sim_mix(sim->plan.seed ^ (uint64_t)host << 32 ^ number ^ 0xda7a);
}

static void put32(uint8_t *b, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		b[i] = (uint8_t)(v >> (24 - 8 * i));
}
static uint32_t get32(const uint8_t *b)
{
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static unsigned peer_of(unsigned h, uint32_t number)
{
	return h ? 0 : 1 + number % (sim->plan.n_hosts - 1);
}

void dgram_open(unsigned h)
{
	struct host *host = &sim->host[h];
	struct tg_addr a = {{{0}}, SIM_UDP};

	SIM_CHECK(tg_sock_open(host->s, TG_DGRAM, 0, 3ull << 32, &host->udp) == 0);
	SIM_CHECK(tg_sock_bind(host->s, host->udp, &a) == 0);
	SIM_CHECK(tg_sock_setopt(host->s, host->udp, TG_UDP_GRO, sim->plan.host[h].udp_gro,
			  sim->now_ns) == 0);
	SIM_CHECK(tg_sock_open(host->s, TG_RAW, 1, 3ull << 32 | 1, &host->raw) == 0);
	host->udp_next_ns = sim->plan.host[h].udp_count ? sim->now_ns : NEVER_NS;
	host->ping_next_ns = sim->plan.host[h].ping_count ? sim->now_ns : NEVER_NS;
}

void dgram_close(unsigned h)
{
	struct host *host = &sim->host[h];

	SIM_CHECK(tg_sock_close(host->s, host->udp, sim->now_ns) == 0);
	SIM_CHECK(tg_sock_close(host->s, host->raw, sim->now_ns) == 0);
	host->udp_next_ns = NEVER_NS;
	host->ping_next_ns = NEVER_NS;
}

static void check_result(unsigned h, int64_t r)
{
	bool ok = r >= 0 || r == -TG_EAGAIN || (r == -TG_ENOMEM && sim->host[h].failing);

	/* the network may have told about an earlier one */
	ok |= sim->plan.lossy && (r == -TG_EHOSTUNREACH || r == -TG_ENETUNREACH);
	ok |= sim->plan.memory_fails;
	if (!ok)
		sim_fail("datagram call on host %u gave %d", h, (int)r);
}

/* ---- UDP ---- */

/* One datagram of n bytes into `at`. */
static void udp_fill(unsigned h, uint32_t number, uint8_t *at, uint32_t n)
{
	put32(at, h);
	put32(at + 4, number);
	put32(at + 8, n);
	stream_fill(dgram_key(h, number), 0, at + HEAD_BYTES, n - HEAD_BYTES);
}

/* Several of the same number in one call, the last one shorter: a datagram each, or refused for a
 * path that has become narrow. */
static void udp_send_many(unsigned h, uint32_t number, struct sim_rng *r, struct tg_dgram *d)
{
	struct host *host = &sim->host[h];
	uint32_t piece = sim_between(r, HEAD_BYTES + 1, min_u32(sim->plan.host[h].mtu - 28, 5000));
	uint32_t full = sim_between(r, 1, 60000 / piece < 20 ? 60000 / piece : 20);
	uint32_t last = sim_between(r, HEAD_BYTES, piece);
	int64_t result;

	for (uint32_t i = 0; i <= full; i++)
		udp_fill(h, number, scratch + i * piece, i < full ? piece : last);
	d->segment = (int32_t)piece;
	result =
		tg_sock_sendto(host->s, host->udp, scratch, full * piece + last, 0, d, sim->now_ns);
	if (result != -TG_EMSGSIZE)
		check_result(h, result);
}

static void udp_send(unsigned h)
{
	struct host *host = &sim->host[h];
	uint32_t number = host->udp_sent++;
	struct sim_rng r = {dgram_key(h, number)};
	uint32_t n = HEAD_BYTES + sim_below(&r, sim->plan.host[h].udp_max);
	unsigned to = peer_of(h, number);
	struct tg_dgram d;

	memset(&d, 0, sizeof(d));
	d.peer.ip = host_ip(to, wire_of(h, to));
	d.peer.port = SIM_UDP;
	if (sim_chance(&r, sim->plan.host[h].udp_cut_percent)) {
		udp_send_many(h, number, &r, &d);
		return;
	}
	udp_fill(h, number, scratch, n);
	check_result(h, tg_sock_sendto(host->s, host->udp, scratch, n, 0, &d, sim->now_ns));
}

/* Two flipped bits in two fragments can cancel out in the checksum: no fault of anybody's. */
static bool may_be_corrupt(uint32_t n)
{
	for (unsigned w = 0; w + 1 < sim->plan.n_hosts; w++)
		if ((sim->plan.wire[w].impair[0].corrupt_ppm ||
			    sim->plan.wire[w].impair[1].corrupt_ppm) &&
			(n + 28 > sim->plan.host[0].mtu || n + 28 > sim->plan.host[w + 1].mtu))
			return true;
	return false;
}

static void udp_check(struct host *host, const uint8_t *b, uint32_t n, const struct tg_dgram *from)
{
	uint32_t h, number;

	if (may_be_corrupt(n))
		return;
	h = n < HEAD_BYTES ? SIM_HOSTS : get32(b);
	number = n < HEAD_BYTES ? 0 : get32(b + 4);
	if (n < HEAD_BYTES || n != get32(b + 8) || h >= sim->plan.n_hosts ||
		number >= sim->host[h].udp_sent || from->peer.port != SIM_UDP ||
		!stream_equal(dgram_key(h, number), 0, b + HEAD_BYTES, n - HEAD_BYTES)) {
		sim_fail("a datagram that nobody sent: %u bytes", n);
		return;
	}
	host->udp_received++;
}

/* What was received in one call: one datagram, or several as from->segment says. */
static void udp_check_all(struct host *host, uint32_t n, const struct tg_dgram *from)
{
	uint32_t piece = from->segment ? (uint32_t)from->segment : n, off = 0;

	SIM_CHECK(n == from->bytes);
	do {
		udp_check(host, scratch + off, min_u32(piece, n - off), from);
		off += piece;
	} while (off < n && !sim->failed);
}

/* ---- ICMP ---- */

/* The Internet checksum, the plain way. */
static uint16_t plain_csum(const uint8_t *b, uint32_t n)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += i % 2 ? b[i] : (uint32_t)b[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void ping_send(unsigned h)
{
	struct host *host = &sim->host[h];
	uint32_t number = host->pings_sent++;
	struct sim_rng r = {dgram_key(h + 8, number)};
	uint32_t n = sim_below(&r, sim_chance(&r, 80) ? 1500 : 20000);
	unsigned to = peer_of(h, number);
	struct tg_dgram d;
	uint16_t sum;

	memset(&d, 0, sizeof(d));
	d.peer.ip = host_ip(to, wire_of(h, to));
	put32(scratch, 8u << 24);
	put32(scratch + 4, h << 16 | number);
	stream_fill(dgram_key(h + 8, number), 0, scratch + 8, n);
	sum = plain_csum(scratch, n + 8);
	scratch[2] = (uint8_t)(sum >> 8);
	scratch[3] = (uint8_t)sum;
	check_result(h, tg_sock_sendto(host->s, host->raw, scratch, n + 8, 0, &d, sim->now_ns));
}

/* What a raw socket hears, from the IP header on: our echo replies, other hosts' requests, errors.
 */
static void ping_check(struct host *host, unsigned h, uint32_t n)
{
	uint32_t ihl = n ? (scratch[0] & 15u) * 4 : 0, who, number;
	const uint8_t *m = scratch + ihl;

	if (may_be_corrupt(n))
		return;
	if (n < ihl + 8 || plain_csum(m, n - ihl) != 0) {
		sim_fail("a raw socket got a broken message of %u bytes", n);
		return;
	}
	if (m[0] != 0 && m[0] != 8)
		return;
	who = get32(m + 4) >> 16;
	number = get32(m + 4) & 0xffff;
	if (who >= sim->plan.n_hosts || number >= sim->host[who].pings_sent ||
		!stream_equal(dgram_key(who + 8, number), 0, m + 8, n - ihl - 8))
		sim_fail("an echo message that nobody sent");
	if (m[0] == 0) {
		SIM_CHECK(who == h);
		host->pings_answered++;
	}
}

/* ---- Both ---- */

void dgram_event(unsigned h, bool raw)
{
	struct host *host = &sim->host[h];
	struct tg_dgram from;

	for (unsigned n = 0; n < 1000000; n++) {
		int64_t r = tg_sock_recvfrom(host->s, raw ? host->raw : host->udp, scratch,
			sizeof(scratch), 0, &from, sim->now_ns);

		if (r == -TG_EAGAIN)
			return;
		check_result(h, r);
		if (sim->failed)
			return;
		if (r >= 0 && raw)
			ping_check(host, h, (uint32_t)r);
		else if (r >= 0)
			udp_check_all(host, (uint32_t)r, &from);
	}
	sim_fail("a socket that never runs empty");
}

uint64_t dgram_next_ns(void)
{
	uint64_t t = NEVER_NS;

	for (unsigned h = 0; h < sim->plan.n_hosts; h++)
		t = min_u64(t, min_u64(sim->host[h].udp_next_ns, sim->host[h].ping_next_ns));
	return t;
}

void dgram_run(void)
{
	for (unsigned h = 0; h < sim->plan.n_hosts; h++) {
		struct host *host = &sim->host[h];
		const struct host_plan *p = &sim->plan.host[h];

		if (host->udp_next_ns <= sim->now_ns) {
			udp_send(h);
			host->udp_next_ns = host->udp_sent < p->udp_count
						    ? sim->now_ns + p->udp_gap_ns
						    : NEVER_NS;
		}
		if (host->ping_next_ns <= sim->now_ns) {
			ping_send(h);
			host->ping_next_ns = host->pings_sent < p->ping_count
						     ? sim->now_ns + p->ping_gap_ns
						     : NEVER_NS;
		}
	}
}

/* The world's machinery: memory, hosts, wires, the loop of events in virtual time, the hash of a
 * run, snapshots. */
#define _DEFAULT_SOURCE
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "sim.h"

#define HOST_BYTES  (512ull << 20)
#define START_NS    (1000 * NS_PER_SEC)
#define SPIN_EVENTS 200000u
#define MAX_EVENTS  30000000u

struct world *sim;
struct sim_watch sim_watch;
void (*world_created)(unsigned host, struct tg *s);
static uint8_t *host_mem[SIM_HOSTS], *wire_mem[SIM_WIRES];

/* ---- Failing, hashing, contents ---- */

void sim_fail(const char *fmt, ...)
{
	va_list ap;
	int n;

	if (sim->failed)
		return;
	sim->failed = true;
	n = snprintf(sim->why, sizeof(sim->why), "at %.6f s, event %" PRIu64 ": ",
		(double)(sim->now_ns - START_NS) / 1e9, sim->events);
	va_start(ap, fmt);
	vsnprintf(sim->why + n, sizeof(sim->why) - (size_t)n, fmt, ap);
	va_end(ap);
}

_Noreturn void tg_assert_fail(const char *expr, const char *file, int line)
{
	printf("not ok - seed %" PRIu64 ": %s:%d: assertion failed: %s\n", sim ? sim->plan.seed : 0,
		file, line, expr);
	fflush(stdout);
	abort();
}

void sim_hash(const void *data, size_t n)
{
	const uint8_t *b = data;
	uint64_t h = sim->hash ^ n, v;

	for (; n >= 8; n -= 8, b += 8) {
		memcpy(&v, b, 8);
		h = (h ^ v) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 32;
	}
	v = 0;
	if (n)
		memcpy(&v, b, n);
	sim->hash = sim_mix(h ^ v);
}

void stream_fill(uint64_t key, uint64_t at, uint8_t *out, uint32_t n)
{
	uint32_t i = 0;

	while (i < n) {
		uint64_t v = sim_mix(key + (at + i) / 8 * 0x9e3779b97f4a7c15ull);
		uint32_t off = (uint32_t)((at + i) % 8), take = min_u32(8 - off, n - i);

		v >>= 8 * off;
		for (uint32_t j = 0; j < take; j++, v >>= 8)
			out[i + j] = (uint8_t)v;
		i += take;
	}
}

bool stream_equal(uint64_t key, uint64_t at, const uint8_t *data, uint32_t n)
{
	uint8_t want[512];

	for (uint32_t i = 0; i < n;) {
		uint32_t take = min_u32(n - i, sizeof(want));

		stream_fill(key, at + i, want, take);
		if (memcmp(want, data + i, take) != 0)
			return false;
		i += take;
	}
	return true;
}

/* ---- Beginning ---- */

static uint8_t *fresh(uint8_t *old, size_t bytes)
{
	if (old) {
		madvise(old, bytes, MADV_DONTNEED);
		return old;
	}
	old = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		-1, 0);
	return old == MAP_FAILED ? NULL : old;
}

static void observe(unsigned wire, unsigned end, bool from_end, const struct tg_frame *f)
{
	unsigned host = end == 0 ? 0 : wire + 1;

	if (!from_end)
		return;
	sim->wire_sent[wire][end]++;
	sim->host[host].emitted_frames++;
	frame_seen(host, wire, f);
	if (sim_watch.frame)
		sim_watch.frame(host, wire, f);
}
static void observe0(void *arg, unsigned end, bool from_end, const struct tg_frame *f, uint64_t tag,
	uint64_t now_ns)
{
	(void)arg, (void)tag, (void)now_ns;
	observe(0, end, from_end, f);
}
static void observe1(void *arg, unsigned end, bool from_end, const struct tg_frame *f, uint64_t tag,
	uint64_t now_ns)
{
	(void)arg, (void)tag, (void)now_ns;
	observe(1, end, from_end, f);
}

static bool plug(unsigned wire, unsigned end)
{
	unsigned h = end == 0 ? 0 : wire + 1;
	struct host *host = &sim->host[h];
	const struct host_plan *hp = &sim->plan.host[h];
	struct tg_netif_config c = {
		.name = "eth0", .mac = {2, 0, 0, (uint8_t)wire, 0, (uint8_t)(end + 1)}};
	struct tg_ip ip = host_ip(h, wire);
	int n;

	c.name[3] = (char)('0' + wire);
	wire_netif_config(sim->wire[wire], end, &c);
	c.caps = hp->caps;
	c.mtu = hp->mtu;
	c.announce = hp->announce;
	n = tg_netif_add(host->s, &c, sim->now_ns);
	if (n < 0 || tg_addr_add(host->s, (unsigned)n, &ip, 24, sim->now_ns) < 0)
		return false;
	host->netif[wire] = (unsigned)n;
	wire_attach(sim->wire[wire], end, host->s, (unsigned)n);
	return true;
}

static bool lay_wire(unsigned w)
{
	const struct wire_plan *wp = &sim->plan.wire[w];
	struct wire_config c;

	wire_mem[w] = fresh(wire_mem[w], WIRE_MEM_BYTES);
	wire_config_default(&c);
	c.mtu = wp->mtu;
	c.frag_needed = wp->frag_needed;
	c.latency_ns = wp->latency_ns;
	c.impair[0] = wp->impair[0];
	c.impair[1] = wp->impair[1];
	c.observe = w ? observe1 : observe0;
	memcpy(c.seed, &sim->plan.seed, sizeof(sim->plan.seed));
	c.seed[31] = (uint8_t)w;
	sim->wire[w] = wire_mem[w] ? wire_create(wire_mem[w], WIRE_MEM_BYTES, &c) : NULL;
	return sim->wire[w] && plug(w, 0) && plug(w, 1);
}

bool world_begin(const struct plan *p, bool verbose)
{
	if (!sim)
		sim = malloc(sizeof(*sim));
	memset(sim, 0, sizeof(*sim));
	sim->plan = *p;
	sim->now_ns = START_NS;
	sim->progress_ns = START_NS;
	sim->verbose = verbose;
	for (unsigned h = 0; h < p->n_hosts; h++) {
		host_mem[h] = fresh(host_mem[h], HOST_BYTES);
		sim->host[h].s = host_mem[h] ? tg_create(&p->host[h].cfg, host_mem[h], HOST_BYTES,
						       sim->now_ns)
					     : NULL;
		if (!sim->host[h].s)
			return false;
		if (world_created)
			world_created(h, sim->host[h].s);
	}
	for (unsigned w = 0; w + 1 < p->n_hosts; w++)
		if (!lay_wire(w))
			return false;
	for (unsigned h = 0; h < p->n_hosts; h++) {
		sim->host[h].base_bytes = memory_in_use(h);
		for (unsigned l = 0; l < SIM_LISTEN; l++)
			listener_open(h, l);
		dgram_open(h);
	}
	return true;
}

/* ---- Mishaps of the plan ---- */

static uint64_t next_of(uint64_t best, uint64_t rel_ns)
{
	return rel_ns && START_NS + rel_ns > sim->now_ns ? min_u64(best, START_NS + rel_ns) : best;
}

static bool between(uint64_t from_ns, uint64_t until_ns)
{
	return from_ns && sim->now_ns >= START_NS + from_ns && sim->now_ns < START_NS + until_ns;
}

static void mishaps_of_host(unsigned h)
{
	const struct host_plan *hp = &sim->plan.host[h];
	struct host *host = &sim->host[h];
	bool fail = between(hp->fail_from_ns, hp->fail_until_ns) && !sim->draining;

	if (fail != host->failing)
		tg_memory_fail_after(
			host->s, fail ? hp->fail_countdown : 0, fail ? hp->fail_period : 0);
	host->failing = fail;
	if (!hp->close_listener_ns || sim->draining)
		return;
	if (between(hp->close_listener_ns, hp->reopen_listener_ns))
		listener_close(h, 0);
	else
		listener_open(h, 0);
}

static void mishaps(void)
{
	for (unsigned h = 0; h < sim->plan.n_hosts; h++)
		mishaps_of_host(h);
	for (unsigned w = 0; w + 1 < sim->plan.n_hosts; w++) {
		const struct wire_plan *wp = &sim->plan.wire[w];
		bool dark = between(wp->dark_from_ns, wp->dark_until_ns);

		for (unsigned e = 0; dark != sim->dark[w] && e < 2; e++) {
			struct tg_impair i = wp->impair[e];

			if (dark)
				i.drop_ppm = wp->storm_ppm ? wp->storm_ppm : 1000000;
			wire_set_impair(sim->wire[w], e, &i);
		}
		sim->dark[w] = dark;
	}
}

static uint64_t mishaps_next_ns(void)
{
	uint64_t t = NEVER_NS;

	for (unsigned h = 0; h < sim->plan.n_hosts; h++) {
		const struct host_plan *hp = &sim->plan.host[h];

		t = next_of(t, hp->fail_from_ns);
		t = next_of(t, hp->fail_until_ns);
		t = next_of(t, hp->close_listener_ns);
		t = next_of(t, hp->reopen_listener_ns);
	}
	for (unsigned w = 0; w + 1 < sim->plan.n_hosts; w++) {
		t = next_of(t, sim->plan.wire[w].dark_from_ns);
		t = next_of(t, sim->plan.wire[w].dark_until_ns);
	}
	for (uint32_t i = 0; i < sim->plan.n_flows; i++)
		if (!sim->flow[i].started)
			t = min_u64(t, START_NS + sim->plan.flow[i].start_ns);
	return t;
}

/* ---- The loop ---- */

static void socket_events(unsigned h)
{
	struct tg_event e;

	while (tg_event(sim->host[h].s, &e)) {
		unsigned kind = (unsigned)(e.cookie >> 32);

		if (kind == 1)
			flow_event((uint32_t)e.cookie / 2, (unsigned)e.cookie % 2, e.events);
		else if (kind == 2)
			listener_event(h, (unsigned)(uint32_t)e.cookie);
		else if (kind == 3)
			dgram_event(h, e.cookie & 1);
	}
}

static void applications(void)
{
	mishaps();
	for (uint32_t i = 0; i < sim->plan.n_flows; i++)
		if (!sim->flow[i].started && START_NS + sim->plan.flow[i].start_ns <= sim->now_ns)
			flow_start(i);
	for (unsigned h = 0; h < sim->plan.n_hosts; h++)
		socket_events(h);
	check_edges();
	flows_run();
	listeners_run();
	dgram_run();
}

static void step_hosts(void)
{
	for (unsigned w = 0; w + 1 < sim->plan.n_hosts; w++)
		wire_set_now(sim->wire[w], sim->now_ns);
	for (unsigned h = 0; h < sim->plan.n_hosts; h++) {
		bool writable = false;

		for (unsigned w = 0; w + 1 < sim->plan.n_hosts; w++)
			if (h == 0 || h == w + 1)
				writable |= wire_take_writable(sim->wire[w], h != 0);
		if (writable || tg_next_deadline(sim->host[h].s) <= sim->now_ns)
			tg_step(sim->host[h].s, sim->now_ns);
		check_trace(h);
	}
}

static uint64_t next_time(void)
{
	uint64_t t = min_u64(min_u64(flows_next_ns(), listeners_next_ns()),
		min_u64(dgram_next_ns(), mishaps_next_ns()));

	for (unsigned h = 0; h < sim->plan.n_hosts; h++)
		t = min_u64(t, tg_next_deadline(sim->host[h].s));
	for (unsigned w = 0; w + 1 < sim->plan.n_hosts; w++)
		t = min_u64(t, wire_next_deadline(sim->wire[w]));
	return t;
}

static void deliver(void)
{
	for (unsigned w = 0; w + 1 < sim->plan.n_hosts; w++) {
		if (sim->plan.batch)
			wire_run(sim->wire[w], sim->now_ns);
		else
			wire_deliver_one(sim->wire[w], sim->now_ns, NULL);
	}
}

/* Somebody waits for something that never comes? */
static void check_stall(uint64_t next_ns)
{
	uint64_t idle_ns = max_u64(next_ns, sim->now_ns) - min_u64(sim->progress_ns, sim->now_ns);

	if (sim->draining || (next_ns != NEVER_NS && idle_ns < 20 * SIM_MINUTE))
		return;
	for (uint32_t i = 0; i < sim->plan.n_flows; i++) {
		const struct flow *f = &sim->flow[i];

		if (!f->started || f->done)
			continue;
		if (flow_stall_explained(i)) {
			flow_give_up(i);
			continue;
		}
		sim_fail("stalled: flow %u: sent %u/%u received %u/%u, states %u %u, disturbed %d",
			i, f->end[0].sent, f->end[1].sent, f->end[0].received, f->end[1].received,
			f->end[0].state, f->end[1].state, f->disturbed);
		return;
	}
}

bool world_event(void)
{
	uint64_t t;

	if (sim->failed)
		return false;
	step_hosts();
	applications();
	step_hosts();
	for (unsigned h = 0; h < sim->plan.n_hosts; h++)
		check_counters(h);
	check_some_sockets(4);
	t = next_time();
	check_stall(t);
	t = next_time();
	if (sim->failed || t == NEVER_NS || sim->n_done == sim->plan.n_flows)
		return false;
	sim->same_time = t <= sim->now_ns ? sim->same_time + 1 : 0;
	if (sim->same_time > SPIN_EVENTS || sim->events > MAX_EVENTS)
		sim_fail("%s",
			sim->same_time > SPIN_EVENTS ? "time stands still" : "too many events");
	sim->now_ns = max_u64(sim->now_ns, t);
	sim->events++;
	deliver();
	return true;
}

/* Everybody closes; what is left ends by itself. */
void world_finish(void)
{
	uint64_t give_up_ns, quiet_ns = 0;

	sim->draining = true;
	mishaps();
	for (unsigned h = 0; h < sim->plan.n_hosts; h++) {
		for (unsigned l = 0; l < SIM_LISTEN; l++)
			listener_close(h, l);
		dgram_close(h);
	}
	give_up_ns = sim->now_ns + 40 * SIM_MINUTE;
	while (!sim->failed && sim->now_ns < give_up_ns) {
		bool left = false;
		uint64_t t;

		step_hosts();
		for (unsigned h = 0; h < sim->plan.n_hosts; h++)
			left |= sockets_left(h);
		if (!left && !quiet_ns)
			quiet_ns = sim->now_ns + 3 * SIM_MINUTE; /* reassembly, neighbours */
		t = min_u64(next_time(), quiet_ns ? quiet_ns : give_up_ns);
		if (quiet_ns && sim->now_ns >= quiet_ns)
			break;
		sim->now_ns = max_u64(sim->now_ns, t);
		sim->events++;
		deliver();
	}
	if (!sim->failed)
		check_end();
}

/* ---- Snapshots ---- */

static struct {
	uint8_t *bytes;
	size_t n, cap;
	size_t host[SIM_HOSTS], wire[SIM_WIRES];
} image;

bool world_save(void)
{
	size_t need = sizeof(*sim), at = sizeof(*sim);

	for (unsigned h = 0; h < sim->plan.n_hosts; h++)
		need += image.host[h] = tg_snapshot_bytes(sim->host[h].s);
	for (unsigned w = 0; w + 1 < sim->plan.n_hosts; w++)
		need += image.wire[w] = wire_snapshot_bytes(sim->wire[w]);
	if (need > image.cap) {
		free(image.bytes);
		image.bytes = malloc(need);
		image.cap = image.bytes ? need : 0;
	}
	if (!image.bytes)
		return false;
	memcpy(image.bytes, sim, sizeof(*sim));
	for (unsigned h = 0; h < sim->plan.n_hosts; h++) {
		if (tg_snapshot_save(sim->host[h].s, image.bytes + at, image.host[h]) !=
			image.host[h])
			return false;
		at += image.host[h];
	}
	for (unsigned w = 0; w + 1 < sim->plan.n_hosts; w++) {
		if (wire_snapshot_save(sim->wire[w], image.bytes + at, image.wire[w]) !=
			image.wire[w])
			return false;
		at += image.wire[w];
	}
	return true;
}

void world_restore(void)
{
	size_t at = sizeof(*sim);
	bool ok = true;

	memcpy(sim, image.bytes, sizeof(*sim));
	for (unsigned h = 0; h < sim->plan.n_hosts; h++) {
		ok &= tg_snapshot_restore(sim->host[h].s, image.bytes + at, image.host[h]);
		at += image.host[h];
	}
	for (unsigned w = 0; w + 1 < sim->plan.n_hosts; w++) {
		ok &= wire_snapshot_restore(sim->wire[w], image.bytes + at, image.wire[w]);
		at += image.wire[w];
	}
	SIM_CHECK(ok);
}

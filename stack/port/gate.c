/* A gate in front of one instance, for those who step through it: frames that its links read wait
 * there, its clock stands while nobody lets it go, and the loop leaves the instance alone. What it
 * sends goes to the device as ever. Impairing devices are passed by: who stands at the gate does
 * that by hand. */
#define _GNU_SOURCE
#include "port/gate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GATE_FRAMES_MAX 4096u /* more are dropped, as by any device whose queue is full */
#define GATE_BYTES_MAX  (64u << 20)

struct gate_frame {
	struct gate_frame *next;
	struct tg_host_frame f;
	uint8_t data[];
};

struct host_gate {
	struct gate_frame *first, **end;
	uint32_t n, next_id;
	uint64_t bytes, lost;
	bool runs;
	uint64_t stood_ns; /* in all, up to since_ns */
	uint64_t since_ns; /* host time at which the clock was stopped or let go */
};

static struct host_gate *find(const struct tg_host *h, const struct tg *s)
{
	const struct host_inst *i = host_find(h, s);

	return i ? i->gate : NULL;
}

/* ---- The clock ------------------------------------------------------------------------------- */

static uint64_t gate_now(const struct host_gate *g)
{
	return (g->runs ? tg_host_now() : g->since_ns) - g->stood_ns;
}

uint64_t tg_host_gate_now(const struct tg_host *h, const struct tg *s)
{
	const struct host_gate *g = find(h, s);

	return g ? gate_now(g) : tg_host_now();
}

void tg_host_gate_clock(struct tg_host *h, const struct tg *s, bool runs)
{
	struct host_gate *g = find(h, s);
	uint64_t now = tg_host_now();

	if (!g || g->runs == runs)
		return;
	if (runs)
		g->stood_ns += now - g->since_ns;
	g->since_ns = now;
	g->runs = runs;
}

/* ---- Frames ---------------------------------------------------------------------------------- */

bool gate_hold(struct host_gate *g, const struct tg_pkt *meta, const uint8_t *data, int netif)
{
	struct gate_frame *k;

	if (g->n == GATE_FRAMES_MAX || g->bytes + meta->len > GATE_BYTES_MAX ||
		!(k = malloc(sizeof(*k) + meta->len))) {
		g->lost++;
		return false;
	}
	memcpy(k->data, data, meta->len);
	k->next = NULL;
	k->f = (struct tg_host_frame){.id = ++g->next_id,
		.bytes = meta->len,
		.data = k->data,
		.netif = (uint16_t)netif,
		.gso_size = meta->gso_size,
		.gso = meta->gso,
		.csum = meta->csum};
	*g->end = k;
	g->end = &k->next;
	g->n++;
	g->bytes += meta->len;
	return true;
}

uint32_t tg_host_gate_queued(const struct tg_host *h, const struct tg *s)
{
	const struct host_gate *g = find(h, s);

	return g ? g->n : 0;
}

bool tg_host_gate_look(
	const struct tg_host *h, const struct tg *s, uint32_t i, struct tg_host_frame *out)
{
	const struct host_gate *g = find(h, s);
	const struct gate_frame *k = g ? g->first : NULL;

	while (k && i-- > 0)
		k = k->next;
	if (k)
		*out = k->f;
	return k != NULL;
}

static void unlink_at(struct host_gate *g, struct gate_frame **at)
{
	struct gate_frame *k = *at;

	*at = k->next;
	if (g->end == &k->next)
		g->end = at;
	g->n--;
	g->bytes -= k->f.bytes;
	free(k);
}

void tg_host_gate_take(struct tg_host *h, const struct tg *s, uint32_t i)
{
	struct host_gate *g = find(h, s);
	struct gate_frame **at = g ? &g->first : NULL;

	while (at && *at && i-- > 0)
		at = &(*at)->next;
	if (at && *at)
		unlink_at(g, at);
}

/* ---- Making and ending ----------------------------------------------------------------------- */

int tg_host_gate(struct tg_host *h, const struct tg *s)
{
	struct host_inst *i = host_find(h, s);
	struct host_gate *g;

	if (!i || h->threaded)
		return -EINVAL;
	if (i->gate)
		return -EBUSY;
	g = calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	g->end = &g->first;
	g->since_ns = tg_host_now();
	i->gate = g;
	return 0;
}

void gate_free(struct host_gate *g)
{
	while (g && g->first)
		unlink_at(g, &g->first);
	free(g);
}

bool tg_host_gate_serve(struct tg_host *h, const struct tg *s)
{
	struct host_inst *i = host_find(h, s);

	return i && i->gate && host_serve_at(h, i, gate_now(i->gate));
}

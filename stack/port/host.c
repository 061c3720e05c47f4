/* The host: its instances and their memory, and what is known of its links. */
#define _GNU_SOURCE
#include "port/gate.h"
#include "port/host.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define INSTANCE_BYTES     (64ull << 30) /* reserved, not used */
#define INSTANCE_MIN_BYTES (64ull << 20)

void *host_map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void host_map_large(void *mem, size_t bytes)
{
	madvise(mem, bytes, MADV_HUGEPAGE); /* if there are none, small ones will do */
}
void host_unmap(void *mem, size_t bytes)
{
	if (mem)
		munmap(mem, bytes);
}

struct tg_host *tg_host_new(void)
{
	struct tg_host *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->timer_fd = -1;
	pthread_mutex_init(&h->lock, NULL);
	h->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (h->stop_fd < 0) {
		free(h);
		return NULL;
	}
	h->insts_end = &h->insts;
	h->taps_end = &h->taps;
	h->wires_end = &h->wires;
	h->now_ns = tg_host_now();
	return h;
}

void tg_host_free(struct tg_host *h)
{
	if (!h)
		return;
	tg_host_stop_thread(h);
	tg_host_reap(h);
	group_leave(h);
	for (struct host_inst *i = h->insts; i; i = i->next)
		host_record_end(i);
	while (h->taps) {
		struct tap_link *l = h->taps;

		h->taps = l->next;
		tap_link_free(l);
	}
	while (h->wires) {
		struct wire_link *l = h->wires;

		h->wires = l->next;
		wire_link_free(l);
	}
	while (h->insts) {
		struct host_inst *i = h->insts;

		h->insts = i->next;
		if (i->bsd)
			i->bsd_free(i->bsd);
		gate_free(i->gate);
		host_unmap(i->mem, i->mem_bytes);
		free(i);
	}
	close(h->stop_fd);
	if (h->timer_fd >= 0)
		close(h->timer_fd);
	pthread_mutex_destroy(&h->lock);
	free(h->watches);
	free(h->pfd);
	free(h);
}

struct host_inst *host_find(const struct tg_host *h, const struct tg *s)
{
	struct host_inst *i = h->insts;

	while (i && i->s != s)
		i = i->next;
	return i;
}

void host_note(
	struct host_inst *i, enum tg_impair_what what, uint8_t dir, int netif, uint64_t now_ns)
{
	struct tg_trace *t;

	if (!i->app.trace || i->n_notes == HOST_NOTES)
		return;
	t = &i->note[i->n_notes++];
	memset(t, 0, sizeof(*t));
	t->time_ns = now_ns;
	t->kind = TG_TRACE_IMPAIRED;
	t->a = (uint8_t)what;
	t->b = dir;
	t->netif = (uint16_t)netif;
}

/* Reserves as much of bytes as the system lets us have, halving, down to min. */
static void *reserve(size_t *bytes, size_t min)
{
	for (;;) {
		void *mem = host_map(*bytes);

		if (mem || *bytes / 2 < min)
			return mem;
		*bytes /= 2;
	}
}

int tg_host_add(struct tg_host *h, const struct tg_config *c, size_t reserve_bytes,
	const struct tg_host_app *app, struct tg **out)
{
	struct host_inst *i = calloc(1, sizeof(*i));

	if (!i)
		return -ENOMEM;
	i->mem_bytes = reserve_bytes ? reserve_bytes : (size_t)INSTANCE_BYTES;
	i->mem = reserve(&i->mem_bytes, reserve_bytes ? reserve_bytes : (size_t)INSTANCE_MIN_BYTES);
	i->s = i->mem ? tg_create(c, i->mem, i->mem_bytes, tg_host_now()) : NULL;
	if (!i->s) {
		int result = i->mem ? -EINVAL : -ENOMEM;

		host_unmap(i->mem, i->mem_bytes);
		free(i);
		return result;
	}
	if (app)
		i->app = *app;
	i->wish_ns = NEVER_NS;
	*h->insts_end = i;
	h->insts_end = &i->next;
	*out = i->s;
	return 0;
}

void tg_link_options_default(struct tg_link_options *o)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 2};

	memset(o, 0, sizeof(*o));
	memcpy(o->mac, mac, sizeof(o->mac));
	tg_impair_default(&o->in);
	tg_impair_default(&o->out);
}

/* ---- What is known of a link ----------------------------------------------------------------- */

static struct tap_link *find_tap(const struct tg_host *h, const struct tg *s, int netif)
{
	struct tap_link *l = h->taps;

	while (l && !(l->inst->s == s && l->netif == netif))
		l = l->next;
	return l;
}

static struct wire_link *find_wire(
	const struct tg_host *h, const struct tg *s, int netif, unsigned *end)
{
	for (struct wire_link *l = h->wires; l; l = l->next) {
		for (*end = 0; *end < 2; ++*end) {
			if (l->inst[*end]->s == s && l->netif[*end] == netif)
				return l;
		}
	}
	return NULL;
}

void tg_host_impair_stats(const struct tg_host *h, const struct tg *s, int netif, int dir,
	struct tg_impair_stats *out)
{
	const struct tap_link *t = find_tap(h, s, netif);
	unsigned end;
	const struct wire_link *w = t ? NULL : find_wire(h, s, netif, &end);

	memset(out, 0, sizeof(*out));
	if (t)
		*out = t->dir[dir != 0].imp.stats;
	if (w) {
		struct wire_stats st;

		wire_get_stats(w->wire, dir ? end : !end, &st);
		*out = st.impair;
	}
}

void tg_host_link_stats(
	const struct tg_host *h, const struct tg *s, int netif, struct tg_link_stats *out)
{
	const struct tap_link *t = find_tap(h, s, netif);

	memset(out, 0, sizeof(*out));
	if (t)
		*out = t->tap.stats;
}

void tg_host_loop_stats(const struct tg_host *h, struct tg_host_stats *out)
{
	*out = h->stats;
}

const char *tg_host_link_offloads(const struct tg_host *h, const struct tg *s, int netif)
{
	const struct tap_link *t = find_tap(h, s, netif);
	unsigned end;
	const struct wire_link *w = t ? NULL : find_wire(h, s, netif, &end);

	if (t)
		return tap_offloads(&t->tap);
	return w && !w->plain ? "TSO, USO, checksum offload" : "no offloads";
}

const char *tg_host_link_name(const struct tg_host *h, const struct tg *s, int netif)
{
	const struct tap_link *t = find_tap(h, s, netif);
	unsigned end;
	const struct wire_link *w = t ? NULL : find_wire(h, s, netif, &end);

	return t ? t->tap.name : w ? w->name[end] : "";
}

int tg_host_capture(struct tg_host *h, const struct tg *s, int netif, struct tg_capture *c)
{
	struct tap_link *t = find_tap(h, s, netif);
	unsigned end;
	struct wire_link *w = t ? NULL : find_wire(h, s, netif, &end);

	if (!t && !w)
		return -EINVAL;
	return t ? tap_link_capture(t, c) : wire_link_capture(w, end, c);
}

void tg_host_capture_end(struct tg_host *h, struct tg_capture *c)
{
	for (struct tap_link *l = h->taps; l; l = l->next)
		tap_link_capture_end(l, c);
	for (struct wire_link *l = h->wires; l; l = l->next) {
		wire_link_capture_end(l, 0, c);
		wire_link_capture_end(l, 1, c);
	}
}

/* The packetdrill adapter: a shared object by which packetdrill drives an instance of the stack in
 * virtual time, with no device and no root of its own. The instance is made for each script and
 * goes with it; nothing is kept between scripts.
 *
 * Flags that are not understood cannot be refused by a function without a result: it says so on
 * standard error, and then every socket() fails with EINVAL and every injected packet is refused,
 * at which packetdrill ends the script.
 *
 * Left out: IPv6, and IPv4 through AF_INET6. */
#define _GNU_SOURCE
#include "packetdrill/pd.h"
#include "port/host.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define INSTANCE_BYTES     (64u << 20)
#define INSTANCE_MIN_BYTES (8u << 20)

/* ---- The end --------------------------------------------------------------------------------- */

/* Placeholders that packetdrill has not closed itself. */
static void close_placeholders(struct pd *p)
{
	for (int fd = 0; fd < PD_FDS; fd++)
		if (p->files[fd].open_at)
			pd_free_fd(p, fd);
	if (p->reserve_fd >= 0)
		close(p->reserve_fd);
}

static void free_pd(struct pd *p)
{
	close_placeholders(p);
	while (p->first) {
		struct pd_packet *k = p->first;

		p->first = k->next;
		free(k);
	}
	host_unmap(p->mem, p->mem_bytes);
	pthread_cond_destroy(&p->still);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

static void do_free(void *u)
{
	struct pd *p = u;
	bool stopped;

	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	stopped = pd_stop(p);
	pthread_mutex_unlock(&p->lock);
	if (stopped) /* else a thread still uses it */
		free_pd(p);
}

/* ---- The beginning --------------------------------------------------------------------------- */

static bool add_addresses(struct pd *p)
{
	const struct pd_flags *f = &p->flags;
	struct tg_ip ip;
	int r = 0;

	for (unsigned i = 0; i < f->n_addrs && r == 0; i++) {
		ip = tg_ip4_of(f->addr[i].ip);
		r = tg_addr_add(p->s, p->netif, &ip, f->addr[i].prefix, p->now_ns);
	}
	for (unsigned i = 0; i < f->n_routes && r == 0; i++) {
		ip = tg_ip4_of(f->route[i].ip);
		r = tg_route_add(p->s, &ip, f->route[i].prefix, NULL, p->netif, 0, p->now_ns);
	}
	return r == 0;
}

static struct tg *make_instance(struct pd *p)
{
	struct tg *s = NULL;

	p->mem_bytes = INSTANCE_BYTES;
	while (!(p->mem = host_map(p->mem_bytes)) && p->mem_bytes > INSTANCE_MIN_BYTES)
		p->mem_bytes /= 2;
	if (p->mem)
		s = tg_create(&p->flags.cfg, p->mem, p->mem_bytes, p->now_ns);
	return s;
}

/* What is wrong, or NULL. */
static const char *start(struct pd *p)
{
	struct tg_netif_config nc = {.name = "packetdrill",
		.link = TG_LINK_IP,
		.mtu = p->flags.mtu,
		.transmit = pd_transmit,
		.dev = p};
	struct tg *s;
	int r;

	p->reserve_fd = memfd_create("tapglass-socket", MFD_CLOEXEC);
	if (p->reserve_fd < 0)
		return "no descriptor can be reserved";
	s = make_instance(p);
	if (!s)
		return p->mem ? "no instance can be made of these settings" : "out of memory";
	p->s = s;
	r = tg_netif_add(s, &nc, p->now_ns);
	p->netif = (unsigned)r;
	if (r < 0 || !add_addresses(p)) {
		p->s = NULL;
		return "these addresses or routes are refused";
	}
	bsd_init(&p->b, s, p->files, PD_FDS, 0);
	p->b.ctx = p;
	p->b.now = pd_now;
	p->b.wait = pd_wait;
	p->b.new_fd = pd_new_fd;
	p->b.free_fd = pd_free_fd;
	return NULL;
}

__attribute__((visibility("default"))) void packetdrill_interface_init(
	const char *flags, struct packetdrill_interface *ifc)
{
	struct pd *p = calloc(1, sizeof(*p));
	char text[160];
	const char *why = text;

	if (!p) {
		fprintf(stderr, "tapglass: out of memory\n");
		abort(); /* every function of the table needs it */
	}
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->still, NULL);
	p->main_thread = pthread_self();
	p->now_ns = PD_START_NS;
	p->reserve_fd = -1;
	p->end = &p->first;
	if (pd_parse_flags(flags, &p->flags, text, sizeof(text)))
		why = start(p);
	if (why)
		fprintf(stderr, "tapglass: --so_flags=%s: %s\n", flags ? flags : "", why);
	ifc->userdata = p;
	ifc->free = do_free;
	pd_calls_table(ifc);
	pd_clock_table(ifc);
	pd_poll_table(ifc);
}

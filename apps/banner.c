/* What `tapglass up` says first and last. */
#define _GNU_SOURCE 1
#include "banner.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tables.h"

#define NAME_DEFAULT "default"

/* ---- First ----------------------------------------------------------------------------------- */

/* How we were called, so that what is shown can be typed. */
static const char *program(void)
{
	return strlen(program_invocation_name) <= 24 ? program_invocation_name : "tapglass";
}

/* " --name two", or nothing. */
static const char *name_option(const struct options *o, char buf[48])
{
	buf[0] = '\0';
	if (strcmp(o->name, NAME_DEFAULT) != 0) {
		snprintf(buf, 48, " --name %s", o->name);
	}
	return buf;
}

static void queues_print(struct livelog *g, const struct link *l)
{
	char text[48];

	if (l->n_queues > 1) {
		snprintf(text, sizeof text, "%u, a stack and a thread each", l->n_queues);
		livelog_text(g, "  queues  %-29s  %s", text,
			tg_host_steered(l->host) ? "the kernel computes whose a flow is"
						 : "the kernel learns whose a flow is");
	}
}

static void link_print(struct livelog *g, const struct link *l)
{
	const char *offloads = tg_host_link_offloads(l->host, l->stack, l->netif);

	switch (l->where) {
	case LINK_IN_PROCESS:
		livelog_text(g,
			"  link    sim                            two stacks on a virtual wire in "
			"this process");
		break;
	case LINK_IN_PRIVATE:
		livelog_text(g,
			"  link    private namespace + %-9s  (host interfaces untouched); %s",
			l->name, offloads);
		break;
	case LINK_HERE:
		livelog_text(g, "  link    %-29s  %s; %s", l->name,
			l->made ? "made in this network namespace, gone when this ends"
				: "was here before, and stays",
			offloads);
		break;
	}
}

/* The MAC of the kernel's end, or "". */
static void host_mac(const struct link *l, char buf[18])
{
	struct ifreq r;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint8_t mac[6];

	buf[0] = '\0';
	memset(&r, 0, sizeof r);
	memcpy(r.ifr_name, l->name, strnlen(l->name, IFNAMSIZ - 1));
	if (fd >= 0 && l->peer == NULL && ioctl(fd, SIOCGIFHWADDR, &r) == 0) {
		memcpy(mac, r.ifr_hwaddr.sa_data, sizeof mac);
		format_mac(mac, buf);
	}
	if (fd >= 0) {
		close(fd);
	}
}

static const char *host_text(const struct link *l)
{
	return l->peer != NULL ? "← another instance of the same code"
	       : l->made       ? "← the kernel's end"
			       : "← the kernel's end, if it has that address";
}

/* A way in, and where or how it works. */
static void way_print(struct livelog *g, const char *key, const char *command, const char *remark)
{
	if (remark[0] == '\0') {
		livelog_text(g, "  %-7s %s", key, command);
	} else {
		livelog_text(g, "  %-7s %-37s  %s", key, command, remark);
	}
}

/* Ways to reach the stack from here. */
static void try_print(struct livelog *g, const struct options *o, const struct link *l)
{
	char host[16], stack[16], name[48], ping[48], curl[48], own[96], text[96];

	tg_ip_format(&l->host_ip, host);
	tg_ip_format(&l->stack_ip, stack);
	name_option(o, name);
	snprintf(ping, sizeof ping, "ping %s", stack);
	snprintf(curl, sizeof curl, "curl http://%s/", stack);
	snprintf(own, sizeof own, "%s ping%s %s", program(), name, host);
	livelog_text(g, "%s", "");
	if (l->relay_fd >= 0) {
		snprintf(text, sizeof text, "(your browser → kernel TCP → %s → stack)",
			l->peer != NULL ? "the other stack's TCP" : l->name);
		snprintf(curl, sizeof curl, "http://127.0.0.1:%u/", (unsigned)l->relay_port);
		way_print(g, "Open", curl, text);
		snprintf(curl, sizeof curl, "curl http://%s/", stack);
	}
	switch (l->where) {
	case LINK_HERE:
		snprintf(text, sizeof text, "http://%s/", stack);
		way_print(g, "Open", text, "");
		way_print(g, "Try", ping, "");
		way_print(g, "", curl, "");
		break;
	case LINK_IN_PRIVATE:
		snprintf(text, sizeof text, "in a shell from:  %s sh%s", program(), name);
		way_print(g, "Try", ping, text);
		way_print(g, "", curl, "there too");
		way_print(g, "", own, "in any shell: the stack pings the kernel");
		break;
	case LINK_IN_PROCESS:
		way_print(g, "Try", own, "in any shell: this stack pings the other");
		break;
	}
	snprintf(text, sizeof text, "%s ss%s -a", program(), name);
	way_print(g, "", text, "its sockets; also arp, route, stat\n");
}

void banner_print(struct livelog *g, const struct options *o, const struct link *l, const char *www)
{
	char host[16], stack[16], mac[18], theirs[18];

	tg_ip_format(&l->host_ip, host);
	tg_ip_format(&l->stack_ip, stack);
	host_mac(l, theirs);
	livelog_text(g, "tapglass " TAPGLASS_VERSION " — a TCP/IP stack in one process.%s\n",
		l->where == LINK_HERE ? "" : " Nothing on this machine was changed.");
	link_print(g, l);
	queues_print(g, l);
	livelog_text(g, "  host    %-11s %-17s  %s", host, theirs, host_text(l));
	livelog_text(g, "  stack   %-11s %-17s  ← all handwritten: Ethernet ARP IP ICMP UDP TCP",
		stack, format_mac(l->mac, mac));
	livelog_text(g, "  serves  echo 7, discard 9, chargen 19 (TCP and UDP), http 80%s%s",
		www != NULL ? " with files of " : "", www != NULL ? www : "");
	if (o->pcap != NULL) {
		livelog_text(g, "  capture %s", o->pcap);
	}
	if (tg_impair_active(&o->in) || tg_impair_active(&o->out)) {
		livelog_text(g, "  impair  on: packets are lost, changed or delayed as asked for");
	}
	try_print(g, o, l);
}

/* ---- Last ------------------------------------------------------------------------------------ */

/* The commonest reasons, as many as fit. */
static void drops_text(const struct tg_counters *c, char *buf, size_t n)
{
	bool shown[TG_DROP_COUNT] = {false};
	size_t at = 0;
	char count[28];

	buf[0] = '\0';
	for (int round = 0; round < 6; round++) {
		int best = 0;

		for (int i = 1; i < TG_DROP_COUNT; i++) {
			uint64_t v = shown[i] ? 0 : c->drops[i] + c->discards[i];

			best = v > 0 && (best == 0 || v > c->drops[best] + c->discards[best])
				       ? i
				       : best;
		}
		if (best == 0 || at >= n) {
			return;
		}
		shown[best] = true;
		at += (size_t)snprintf(buf + at, n - at, "%s%s %s", at > 0 ? ", " : ": ",
			tg_drop_name((enum tg_drop)best),
			format_count(c->drops[best] + c->discards[best], count));
	}
}

void summary_print(
	struct livelog *g, const struct options *o, const struct link *l, uint64_t start_ns)
{
	struct tg_counters sum = {0};
	const struct tg_counters *c = &sum;
	char a[28], b[28], d[16], e[16], drops[300];
	uint64_t dropped = 0;

	if (o->quiet) {
		return;
	}
	tables_counters_add(&sum, tg_counters(l->stack));
	for (unsigned i = 1; i < l->n_queues; i++) {
		tables_counters_add(&sum, tg_counters(l->queue[i].stack));
	}
	for (int i = 1; i < TG_DROP_COUNT; i++) {
		dropped += c->drops[i] + c->discards[i];
	}
	livelog_text(g, "\n  ran       %.1f s, %s connections accepted, %s opened",
		(double)(tg_host_now() - start_ns) / 1e9, format_count(c->tcp_passive_opens, a),
		format_count(c->tcp_active_opens, b));
	livelog_text(g, "  segments  %s in, %s out; frames carried %s in, %s out",
		format_count(c->tcp_in_segs, a), format_count(c->tcp_out_segs, b),
		format_bytes(c->bytes_in, d), format_bytes(c->bytes_out, e));
	livelog_text(g, "  resent    %s segments; %s fast retransmits, %llu timeouts",
		format_count(c->tcp_retrans_segs, a), format_count(c->tcp_fast_retransmits, b),
		(unsigned long long)c->tcp_timeouts);
	drops_text(c, drops, sizeof drops);
	livelog_text(g, "  dropped   %s%s", format_count(dropped, a), drops);
	livelog_text(g, "  capture   %s", o->pcap != NULL ? o->pcap : "none (--pcap FILE)");
}

/* `tapglass arp`, `route`, `stat`: tables of the running stack. */
#define _GNU_SOURCE 1
#include "show.h"

#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "tables.h"
#include "verbs.h"

/* ---- Printing -------------------------------------------------------------------------------- */

bool show_begin(struct show_text *t)
{
	memset(t, 0, sizeof *t);
	t->f = open_memstream(&t->text, &t->bytes);
	return t->f != NULL;
}

int show_end(struct job *j, struct show_text *t)
{
	bool bad = ferror(t->f) != 0;

	if (fclose(t->f) != 0 || bad) {
		free(t->text);
		return EXIT_FAILED;
	}
	job_text(j, t->text, t->bytes);
	return EXIT_OK;
}

int show_json(struct job *j, struct json_object *o)
{
	struct show_text t;

	if (!show_begin(&t)) {
		json_object_put(o);
		return EXIT_FAILED;
	}
	fprintf(t.f, "%s\n",
		json_object_to_json_string_ext(
			o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
	return show_end(j, &t);
}

int show_running(int argc, char **argv, const struct verb_spec *v, struct options *o, void *ctx)
{
	struct tg_host_error err;
	int first, rc = options_parse(argc, argv, v, o, ctx, &first);

	if (rc != OPTIONS_GO) {
		return rc;
	}
	rc = control_connect(o->name, &err);
	if (rc < 0) {
		tg_host_print_error(&err);
		return EXIT_FAILED;
	}
	return control_run(rc, NULL, argc, argv);
}

/* ---- The verbs ------------------------------------------------------------------------------- */

struct show {
	struct options opt;
	bool json, all;
};

static const struct option_spec show_options[] = {
	{"numeric", 'n', 'n', NULL, "numbers, not names (always so)"},
	{"json", 'j', 'j', NULL, "as JSON"},
	{NULL, 0, 0, NULL, NULL},
};
static const struct option_spec stat_options[] = {
	{"all", 'a', 'a', NULL, "also counters that are 0"},
	{"json", 'j', 'j', NULL, "as JSON"},
	{NULL, 0, 0, NULL, NULL},
};

static int show_set(void *ctx, int value, const char *arg)
{
	struct show *o = ctx;

	(void)arg;
	o->json = o->json || value == 'j';
	o->all = o->all || value == 'a';
	return 0;
}

const struct verb_spec arp_spec = {
	.usage = "arp [OPTION]...",
	.about = "Prints the running stack's neighbours: what it learned by ARP.",
	.example = "  tapglass arp\n",
	.options = show_options,
	.name_option = true,
	.set = show_set,
};
const struct verb_spec route_spec = {
	.usage = "route [OPTION]...",
	.about = "Prints the running stack's routes.",
	.example = "  tapglass route\n",
	.options = show_options,
	.name_option = true,
	.set = show_set,
};
const struct verb_spec stat_spec = {
	.usage = "stat [OPTION]...",
	.about = "Prints the running stack's counters under their MIB names, what it asked of the "
		 "system and how much each call moved, and why it discarded what it did.",
	.example = "  tapglass stat\n  tapglass stat -j\n",
	.options = stat_options,
	.name_option = true,
	.set = show_set,
};

static int parse(int argc, char **argv, const struct verb_spec *v, struct show *o)
{
	int first;

	memset(o, 0, sizeof *o);
	options_default(&o->opt);
	return options_parse(argc, argv, v, &o->opt, o, &first);
}

/* Neighbours, queue by queue: each instance has learned its own. */
struct arp_table {
	FILE *f;
	struct json_object *json; /* NULL: text */
	bool several;
};

static void arp_json_rows(struct arp_table *t, unsigned queue, struct tg_host *h, struct tg *s)
{
	struct json_object *rows = tables_arp_json(h, s);

	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);

		json_object_object_add(row, "queue", json_object_new_int((int)queue));
		json_object_array_add(t->json, json_object_get(row));
	}
	json_object_put(rows);
}

static void arp_queue(void *arg, unsigned queue, struct tg_host *h, struct tg *s)
{
	struct arp_table *t = arg;
	struct tg_arp_row row;
	uint64_t cursor = 0;
	char ip[16], mac[18], name[16], number[16] = "";

	if (t->json != NULL) {
		arp_json_rows(t, queue, h, s);
		return;
	}
	if (t->several) {
		snprintf(number, sizeof number, "  %u", queue);
	}
	while (tg_table_arp(s, &cursor, &row)) {
		bool known = row.state != TG_NEIGH_INCOMPLETE && row.state != TG_NEIGH_FAILED;

		fprintf(t->f, "%-15s %-17s %-10s %7.1fs  %s%s\n", tg_ip_format(&row.addr, ip),
			known ? format_mac(row.mac, mac) : "-", tables_neigh_state(row.state),
			(double)row.age_ns / 1e9, tables_ifname(h, s, row.netif, name), number);
	}
}

static int arp_start(struct job *j, int argc, char **argv)
{
	struct arp_table table = {0};
	struct show_text t;
	struct show o;
	int rc = parse(argc, argv, &arp_spec, &o);

	if (rc != OPTIONS_GO) {
		return rc;
	}
	if (o.json && j->link->n_queues <= 1) {
		return show_json(j, tables_arp_json(j->link->host, j->link->stack));
	}
	table.several = j->link->n_queues > 1;
	if (o.json) {
		table.json = json_object_new_array();
		link_each_queue(j->link, arp_queue, &table);
		return show_json(j, table.json);
	}
	if (!show_begin(&t)) {
		return EXIT_FAILED;
	}
	fprintf(t.f, "%-15s %-17s %-10s %8s  %s%s\n", "Address", "HWaddress", "State", "Age",
		"Iface", table.several ? "  Queue" : "");
	table.f = t.f;
	link_each_queue(j->link, arp_queue, &table);
	return show_end(j, &t);
}

static int route_start(struct job *j, int argc, char **argv)
{
	static const struct tg_ip none;
	struct tg_route_row row;
	struct show_text t;
	struct show o;
	uint64_t cursor = 0;
	char ip[16], dest[24], name[16];
	int rc = parse(argc, argv, &route_spec, &o);

	if (rc != OPTIONS_GO) {
		return rc;
	}
	if (o.json) {
		return show_json(j, tables_route_json(j->link->host, j->link->stack));
	}
	if (!show_begin(&t)) {
		return EXIT_FAILED;
	}
	fprintf(t.f, "%-18s %-15s %-6s  %s\n", "Destination", "Gateway", "Metric", "Iface");
	while (tg_table_routes(j->link->stack, &cursor, &row)) {
		bool direct = memcmp(&row.gateway, &none, sizeof none) == 0;

		snprintf(dest, sizeof dest, "%s/%u",
			row.prefix_len == 0 ? "0.0.0.0" : tg_ip_format(&row.dest, ip),
			(unsigned)row.prefix_len);
		fprintf(t.f, "%-18s %-15s %-6u  %s\n", row.prefix_len == 0 ? "default" : dest,
			direct ? "-" : tg_ip_format(&row.gateway, ip), (unsigned)row.metric,
			tables_ifname(j->link->host, j->link->stack, row.netif, name));
	}
	return show_end(j, &t);
}

static void drops_print(FILE *f, const char *heading, const uint64_t *counts)
{
	bool any = false;

	for (int i = 1; i < TG_DROP_COUNT; i++) {
		enum tg_drop d = (enum tg_drop)i;

		if (counts[i] == 0) {
			continue;
		}
		if (!any) {
			fprintf(f, "\n%s\n", heading);
		}
		any = true;
		fprintf(f, "%-28s %12llu  %s", tg_drop_name(d), (unsigned long long)counts[i],
			tg_drop_text(d));
		fprintf(f, strcmp(tg_drop_clause(d), "-") == 0 ? "\n" : " (%s)\n",
			tg_drop_clause(d));
	}
}

static double per(uint64_t n, uint64_t of)
{
	return of == 0 ? 0 : (double)n / (double)of;
}

/* What the system was asked for, and how much each call moved. */
static void system_print(FILE *f, const struct link *k)
{
	struct tg_link_stats l;
	struct tg_host_stats r;

	tg_host_link_stats(k->host, k->stack, k->netif, &l);
	tg_host_loop_stats(k->host, &r);
	fprintf(f, "\nsystem calls, of %s and of the loop\n",
		tg_host_link_name(k->host, k->stack, k->netif));
	fprintf(f, "%-28s %12llu  %.2f frames and %.0f bytes a call, %.1f%% found nothing\n",
		"LinkReads", (unsigned long long)l.reads, per(l.frames_in, l.reads),
		per(l.bytes_in, l.reads), 100 * per(l.reads_empty, l.reads));
	fprintf(f, "%-28s %12llu  %.2f frames and %.0f bytes a call, %.1f%% found no room\n",
		"LinkWrites", (unsigned long long)l.writes, per(l.frames_out, l.writes),
		per(l.bytes_out, l.writes), 100 * per(l.writes_busy, l.writes));
	if (l.merged_frames > 0) {
		fprintf(f, "%-28s %12llu  frames made %llu packets, of %.1f each\n", "LinkMerged",
			(unsigned long long)l.merged_frames, (unsigned long long)l.merged_into,
			per(l.merged_frames, l.merged_into));
	}
	fprintf(f, "%-28s %12llu  %.2f frames in and %.2f out a round, %.1f%% found nothing\n",
		"LoopRounds", (unsigned long long)r.rounds, per(l.frames_in, r.rounds),
		per(l.frames_out, r.rounds), 100 * per(r.rounds_idle, r.rounds));
	fprintf(f, "%-28s %12llu  %llu of them could sleep\n", "LoopPolls",
		(unsigned long long)r.polls, (unsigned long long)r.sleeps);
}

/* For how many segments header prediction held. */
static void fast_print(FILE *f, const struct tg_counters *c)
{
	uint64_t hits = c->tcp_fast_path_data + c->tcp_fast_path_acks,
		 all = hits + c->tcp_slow_path;

	if (all > 0) {
		fprintf(f, "\n%-28s %11.1f%%  of %llu packets; TcpSlow... above say why not\n",
			"header prediction", 100 * per(hits, all), (unsigned long long)all);
	}
}

/* Counters of all queues, and what tells how the work is spread. */
struct stat_sum {
	struct tg_counters all;
	struct tg_memory memory;
	unsigned n;
	struct {
		uint64_t frames_in, frames_out, passed_on, taken_over, full, opens;
	} queue[TG_QUEUES_MAX];
};

static void stat_queue(void *arg, unsigned queue, struct tg_host *h, struct tg *s)
{
	struct stat_sum *sum = arg;
	const struct tg_counters *c = tg_counters(s);
	struct tg_memory m;

	(void)h;
	tables_counters_add(&sum->all, c);
	tg_memory_stats(s, &m);
	sum->memory.in_use_bytes += m.in_use_bytes;
	sum->memory.page_bytes += m.page_bytes;
	sum->memory.budget_bytes += m.budget_bytes;
	sum->memory.failures += m.failures;
	sum->queue[queue].frames_in = c->frames_in - c->frames_taken_over;
	sum->queue[queue].frames_out = c->frames_out;
	sum->queue[queue].passed_on = c->frames_passed_on;
	sum->queue[queue].taken_over = c->frames_taken_over;
	sum->queue[queue].full = c->discards[TG_DROP_PASS_QUEUE_FULL];
	sum->queue[queue].opens = c->tcp_passive_opens + c->tcp_active_opens;
	sum->n = queue + 1;
}

static void queues_print(FILE *f, const struct stat_sum *sum)
{
	fprintf(f, "\n%-6s %12s %12s %12s %12s %12s %12s\n", "queue", "frames in", "out",
		"passed on", "taken over", "no room", "connections");
	for (unsigned i = 0; i < sum->n; i++) {
		fprintf(f, "%-6u %12llu %12llu %12llu %12llu %12llu %12llu\n", i,
			(unsigned long long)sum->queue[i].frames_in,
			(unsigned long long)sum->queue[i].frames_out,
			(unsigned long long)sum->queue[i].passed_on,
			(unsigned long long)sum->queue[i].taken_over,
			(unsigned long long)sum->queue[i].full,
			(unsigned long long)sum->queue[i].opens);
	}
}

static void add_number(struct json_object *o, const char *name, uint64_t v)
{
	json_object_object_add(o, name, json_object_new_int64((int64_t)v));
}

static struct json_object *stat_queues_json(const struct stat_sum *sum, bool all)
{
	struct json_object *top = tables_counters_json(&sum->all, all);
	struct json_object *rows = json_object_new_array(), *o = json_object_new_object();

	add_number(o, "in_use_bytes", sum->memory.in_use_bytes);
	add_number(o, "page_bytes", sum->memory.page_bytes);
	add_number(o, "budget_bytes", sum->memory.budget_bytes);
	add_number(o, "failures", sum->memory.failures);
	json_object_object_add(top, "memory", o);
	for (unsigned i = 0; i < sum->n; i++) {
		o = json_object_new_object();
		add_number(o, "queue", i);
		add_number(o, "frames_in", sum->queue[i].frames_in);
		add_number(o, "frames_out", sum->queue[i].frames_out);
		add_number(o, "passed_on", sum->queue[i].passed_on);
		add_number(o, "taken_over", sum->queue[i].taken_over);
		add_number(o, "no_room", sum->queue[i].full);
		add_number(o, "connections", sum->queue[i].opens);
		json_object_array_add(rows, o);
	}
	json_object_object_add(top, "queues", rows);
	return top;
}

static int stat_start(struct job *j, int argc, char **argv)
{
	struct stat_sum sum = {0};
	const struct tg_counters *c = &sum.all;
	struct show_text t;
	struct show o;
	char mib[40];
	int rc = parse(argc, argv, &stat_spec, &o);

	if (rc != OPTIONS_GO) {
		return rc;
	}
	if (o.json && j->link->n_queues <= 1) {
		return show_json(
			j, tables_stat_json(j->link->host, j->link->stack, j->link->netif, o.all));
	}
	link_each_queue(j->link, stat_queue, &sum);
	if (o.json) {
		return show_json(j, stat_queues_json(&sum, o.all));
	}
	if (!show_begin(&t)) {
		return EXIT_FAILED;
	}
#define X(name)                                                                                    \
	if (o.all || c->name != 0)                                                                 \
		fprintf(t.f, "%-28s %12llu\n", tables_mib_name(#name, mib),                        \
			(unsigned long long)c->name);
	TG_COUNTER_LIST(X)
#undef X
	fast_print(t.f, c);
	system_print(t.f, j->link);
	drops_print(t.f, "received and dropped", c->drops);
	drops_print(t.f, "held or to be sent, and discarded", c->discards);
	if (sum.n > 1) {
		queues_print(t.f, &sum);
	}
	return show_end(j, &t);
}

const struct job_verb arp_job = {.name = "arp", .start = arp_start};
const struct job_verb route_job = {.name = "route", .start = route_start};
const struct job_verb stat_job = {.name = "stat", .start = stat_start};

static int show_main(int argc, char **argv, const struct verb_spec *v)
{
	struct show o = {0};

	options_default(&o.opt);
	return show_running(argc, argv, v, &o.opt, &o);
}

int arp_main(int argc, char **argv)
{
	return show_main(argc, argv, &arp_spec);
}

int route_main(int argc, char **argv)
{
	return show_main(argc, argv, &route_spec);
}

int stat_main(int argc, char **argv)
{
	return show_main(argc, argv, &stat_spec);
}

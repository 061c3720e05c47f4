/* Looking: info, print, x, why, expect, show. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "step.h"

/* ---- info ------------------------------------------------------------------------------------ */

static void info_conns(struct repl *r)
{
	for (unsigned i = 0; i < r->n_names; i++) {
		const struct conn_name *n = &r->name[i];
		char local[24], peer[24];
		struct tg_tcb t;
		bool there = tcb_of_name(r, n, &t);

		printf("%c %-4s %-8s %-21s %-21s %-13s",
			strcmp(n->name, r->current) == 0 ? '*' : ' ', n->name, r->end_name[n->end],
			format_addr(&n->local, local),
			n->listener ? "" : format_addr(&n->peer, peer),
			there ? tg_state_name((enum tg_state)t.v[TG_TCB_STATE]) : "(gone)");
		if (there && !n->listener) {
			printf(" unsent %" PRIu64 ", unacked %" PRIu64 ", unread %" PRIu64
			       ", cwnd %" PRIu64,
				t.v[TG_TCB_UNSENT], t.v[TG_TCB_UNACKED], t.v[TG_TCB_UNREAD],
				t.v[TG_TCB_CWND]);
		}
		putchar('\n');
	}
	if (r->unnamed > 0) {
		printf("  and %" PRIu32 " more, for which there are no names\n", r->unnamed);
	}
	if (r->n_names == 0) {
		puts("  no connections yet: \"connect\" opens one");
	}
}

static void info_timers(struct repl *r)
{
	unsigned some = 0;

	for (unsigned i = 0; i < r->n_names; i++) {
		struct tg_tcb t;

		if (!tcb_of_name(r, &r->name[i], &t)) {
			continue;
		}
		for (unsigned f = 0; f < TG_TCB_COUNT; f++) {
			uint64_t at = t.v[f], now = tg_stepper_now(r->w);
			char text[2][24];

			if (tg_tcb_kind_of(f) != TG_TCB_IS_DEADLINE || at == UINT64_MAX) {
				continue;
			}
			at = deadline_ns(r, at);
			printf("  %-4s %-16s at %s, in %s   %s\n", r->name[i].name, tg_tcb_name(f),
				time_text(at, text[0]),
				length_text(at > now ? at - now : 0, text[1]), tg_tcb_text(f));
			some++;
		}
	}
	if (some == 0) {
		puts("  no timer runs");
	}
}

static void info_queue(struct repl *r)
{
	struct tg_step_frame f;
	uint32_t i = 0;

	for (; tg_stepper_queue(r->w, i, &f); i++) {
		uint32_t isn, peer_isn;
		char text[320], at[24];
		struct packet p;

		packet_read(&p, (enum tg_link)f.link, f.data, f.bytes, f.bytes);
		packet_isns(r, &p, &isn, &peer_isn);
		packet_text(&p, isn, peer_isn, text, sizeof text);
		printf("  #%-4" PRIu32 " to %-8s due %-12s %s\n", f.id, r->end_name[f.to_end],
			time_text(f.due_ns, at), text);
	}
	if (i == 0) {
		puts("  no frame is on its way");
	}
}

static void info_arp(struct repl *r)
{
	static const char *const words[] = {
		"", "INCOMPLETE", "REACHABLE", "STALE", "PROBE", "FAILED"};
	unsigned some = 0;

	for (unsigned end = 0; end < 2; end++) {
		const struct tg *s = tg_stepper_instance(r->w, end);
		uint64_t cursor = 0;
		struct tg_arp_row row;

		while (s != NULL && tg_table_arp(s, &cursor, &row)) {
			char ip[16], mac[18];

			printf("  %-8s %-16s %-18s %s\n", r->end_name[end],
				tg_ip_format(&row.addr, ip), format_mac(row.mac, mac),
				row.state < 6 ? words[row.state] : "?");
			some++;
		}
	}
	if (some == 0) {
		puts(r->world == WORLD_LAB
				? "  no neighbours (this link has no addresses; \"step --lab "
				  "--ethernet\" has)"
				: "  no neighbours");
	}
}

static void info_events(struct repl *r)
{
	uint64_t at = tg_stepper_position(r->w), last = tg_stepper_last(r->w);
	struct tg_step_event e;

	for (uint64_t i = tg_stepper_first(r->w) + 1; i <= last; i++) {
		char text[400], time[24];

		if (!tg_stepper_past(r->w, i, &e)) {
			continue;
		}
		event_text(r, &e, text, sizeof text);
		printf("%c %4" PRIu64 "  %-12s %s\n", i == at ? '>' : ' ', i,
			time_text(e.time_ns, time), text);
	}
	if (last == 0) {
		puts("  nothing has happened yet");
	}
}

static void info_drops(struct repl *r)
{
	unsigned some = 0;

	for (unsigned end = 0; end < 2; end++) {
		const struct tg *s = tg_stepper_instance(r->w, end);

		for (unsigned i = 1; s != NULL && i < TG_DROP_COUNT; i++) {
			uint64_t n = tg_counters(s)->drops[i];

			if (n > 0) {
				printf("  %-8s %6" PRIu64 "  %-22s %s (%s)\n", r->end_name[end], n,
					tg_drop_name((enum tg_drop)i),
					tg_drop_text((enum tg_drop)i),
					tg_drop_clause((enum tg_drop)i));
				some++;
			}
		}
	}
	if (some == 0) {
		puts("  nothing was dropped");
	}
}

static void info_world(struct repl *r)
{
	static const char *const words[] = {"lab", "packet script", "recorded run", "live"};
	struct tg_step_frame f;
	uint32_t frames = 0;
	char at[24];

	while (tg_stepper_queue(r->w, frames, &f)) {
		frames++;
	}
	printf("  %s, after event %" PRIu64 " of %" PRIu64 " on line \"%s\", at %s, %" PRIu32
	       " frame%s on the way\n",
		words[r->world], tg_stepper_position(r->w), tg_stepper_last(r->w),
		tg_stepper_line(r->w), time_text(tg_stepper_now(r->w), at), frames,
		frames == 1 ? "" : "s");
}

void info_command(struct repl *r, char *args)
{
	static const struct {
		const char *name;
		void (*run)(struct repl *r);
	} topics[] = {{"conns", info_conns}, {"timers", info_timers}, {"queue", info_queue},
		{"arp", info_arp}, {"breakpoints", break_list}, {"events", info_events},
		{"drops", info_drops}, {"world", info_world}};
	const char *word = word_next(&args);

	names_update(r);
	for (size_t i = 0; word != NULL && i < sizeof topics / sizeof topics[0]; i++) {
		if (word_abbreviates(word, topics[i].name, 1)) {
			topics[i].run(r);
			return;
		}
	}
	refuse(r, "info about what? conns, timers, queue, arp, breakpoints, events, drops, world");
}

/* ---- print ----------------------------------------------------------------------------------- */

static void print_tcb(struct repl *r, const struct conn_name *n)
{
	char local[24], peer[24], text[48];
	struct tg_tcb t;

	if (!tcb_of_name(r, n, &t)) {
		refuse(r, "%s is closed: nothing is left of it", n->name);
		return;
	}
	printf("%s at %s, %s > %s\n", n->name, r->end_name[n->end], format_addr(&t.local, local),
		format_addr(&t.peer, peer));
	for (unsigned f = 0; f < TG_TCB_COUNT; f++) {
		printf("  %-20s %-16s %s\n", tg_tcb_name(f),
			tcb_value_text(r, &t, f, text, sizeof text), tg_tcb_text(f));
	}
}

static void print_value(struct repl *r, const char *text)
{
	struct expr_result v;
	const char *error;
	char value[48];

	if (!expr_eval(r, text, &v, &error)) {
		refuse(r, "%s", error);
	} else if (!v.known) {
		refuse(r, "%s: that does not exist at present", text);
	} else if (v.field == NULL) {
		printf("%s = %" PRId64 "\n", text, v.value);
	} else {
		enum tg_tcb_kind kind = tg_tcb_kind_of(v.tcb_field);

		printf("%s = %s", text,
			tcb_value_text(r, &v.tcb, v.tcb_field, value, sizeof value));
		if (kind == TG_TCB_IS_SEQ_OURS || kind == TG_TCB_IS_SEQ_PEERS) {
			printf("  (absolute %" PRIu32 ")", (uint32_t)v.tcb.v[v.tcb_field]);
		}
		printf("  %s\n", tg_tcb_text(v.tcb_field));
	}
}

void info_print(struct repl *r, char *args)
{
	const struct conn_name *n;

	names_update(r);
	args += strspn(args, " ");
	if (*args == '\0' || (strncmp(args, "tcb", 3) == 0 && strchr(" ", args[3]) != NULL)) {
		args += *args ? 3 : 0;
		n = name_wanted(r, word_next(&args));
		if (n != NULL) {
			print_tcb(r, n);
		}
	} else if (name_find(r, args) != NULL) {
		print_tcb(r, name_wanted(r, args));
	} else {
		print_value(r, args);
	}
}

/* ---- x, why ---------------------------------------------------------------------------------- */

void info_x(struct repl *r, char *args)
{
	const char *word = word_next(&args);
	struct tg_step_frame f;
	struct packet p;
	uint64_t id = 0;

	if (word != NULL && !parse_u64(word + (*word == '#'), 1, UINT32_MAX, &id)) {
		refuse(r, "\"%s\" is no frame's number: \"info queue\" lists them", word);
		return;
	}
	if (id == 0 && r->next.kind == TG_STEP_FRAME && r->next.frame != NULL) {
		tg_stepper_next(r->w, &r->next);
		packet_read(&p, (enum tg_link)r->next.link, r->next.frame, r->next.frame_here,
			r->next.frame_bytes);
		packet_dissect(&p);
		return;
	}
	for (uint32_t i = 0; tg_stepper_queue(r->w, i, &f); i++) {
		if (id == 0 || f.id == id) {
			packet_read(&p, (enum tg_link)f.link, f.data, f.bytes, f.bytes);
			packet_dissect(&p);
			return;
		}
	}
	refuse(r,
		id ? "frame #%" PRIu64 " is not on its way: \"info queue\" lists those that are"
		   : "no frame is on its way",
		id);
}

/* What a sender waits for. */
static void why_waits(struct repl *r, const struct conn_name *n)
{
	struct tg_tcb t;
	uint64_t *v = t.v, flight;

	if (!tcb_of_name(r, n, &t)) {
		printf("  %s is closed\n", n->name);
		return;
	}
	flight = (uint32_t)(v[TG_TCB_SND_NXT] - v[TG_TCB_SND_UNA]);
	printf("  %s is in %s", n->name, tg_state_name((enum tg_state)v[TG_TCB_STATE]));
	if (v[TG_TCB_UNSENT] == 0) {
		printf(v[TG_TCB_UNACKED] ? ": all is sent, %" PRIu64 " bytes wait for their ACK\n"
					 : ": there is nothing to send\n",
			v[TG_TCB_UNACKED]);
	} else if (v[TG_TCB_SND_WND] <= flight) {
		printf(": %" PRIu64 " bytes wait for the peer's window (%" PRIu64 ", %" PRIu64
		       " of it in flight)\n",
			v[TG_TCB_UNSENT], v[TG_TCB_SND_WND], flight);
	} else if (v[TG_TCB_CWND] < v[TG_TCB_FLIGHT] + v[TG_TCB_MSS_SND]) {
		printf(": %" PRIu64 " bytes wait for cwnd (%" PRIu64 ", %" PRIu64 " in flight)\n",
			v[TG_TCB_UNSENT], v[TG_TCB_CWND], v[TG_TCB_FLIGHT]);
	} else if (v[TG_TCB_T_PACE] != UINT64_MAX) {
		printf(": %" PRIu64 " bytes wait for their time (pacing)\n", v[TG_TCB_UNSENT]);
	} else if (v[TG_TCB_CORK]) {
		printf(": %" PRIu64 " bytes wait, corked\n", v[TG_TCB_UNSENT]);
	} else {
		printf(": %" PRIu64 " bytes are less than a segment of %" PRIu64
		       " and wait for an ACK (Nagle, 9293 SHLD-7)\n",
			v[TG_TCB_UNSENT], v[TG_TCB_MSS_SND]);
	}
}

void info_why(struct repl *r, char *args)
{
	const char *word = word_next(&args);
	char text[400];

	names_update(r);
	if (word == NULL && r->have_did) {
		event_text(r, &r->last, text, sizeof text);
		printf("event %" PRIu64 ": %s\n", r->last.number, text);
		rules_show(r, &r->did, r->last.end);
	}
	for (unsigned i = 0; i < r->n_names; i++) {
		if (!r->name[i].listener && (word == NULL || strcmp(word, r->name[i].name) == 0)) {
			why_waits(r, &r->name[i]);
		}
	}
	if (word != NULL && name_find(r, word) == NULL) {
		name_wanted(r, word);
	}
}

/* ---- expect, show ---------------------------------------------------------------------------- */

static bool is_state(const char *word)
{
	for (unsigned i = 0; i < TG_STATE_COUNT; i++) {
		if (strcasecmp(word, tg_state_name((enum tg_state)i)) == 0) {
			return true;
		}
	}
	return false;
}

static void expect_state(struct repl *r, char *args)
{
	const char *name = word_next(&args), *state = word_next(&args);
	const struct conn_name *n = name != NULL ? name_find(r, name) : NULL;
	const char *is = "CLOSED";
	struct tg_tcb t;

	if (n == NULL || state == NULL) {
		refuse(r, "expect state CONN STATE: \"info conns\" lists connections");
		return;
	}
	if (!is_state(state)) {
		refuse(r, "\"%s\" is no state: SYN-SENT, ESTABLISHED, TIME-WAIT, CLOSED and so on",
			state);
		return;
	}
	if (tcb_of_name(r, n, &t)) {
		is = tg_state_name((enum tg_state)t.v[TG_TCB_STATE]);
	}
	if (strcasecmp(is, state) != 0) {
		refuse(r, "expected: %s is in %s, but it is in %s", name, state, is);
	}
}

void info_expect(struct repl *r, char *args)
{
	struct expr_result v;
	const char *error;

	names_update(r);
	args += strspn(args, " ");
	if (strncmp(args, "state ", 6) == 0 && strpbrk(args, "=<>") == NULL) {
		expect_state(r, args + 6);
	} else if (*args == '\0') {
		refuse(r, "expect what? state CONN STATE, or an expression");
	} else if (!expr_eval(r, args, &v, &error)) {
		refuse(r, "%s", error);
	} else if (!v.known || v.value == 0) {
		refuse(r, "expected: %s", args);
	}
}

void info_show(struct repl *r, char *args)
{
	const char *word = word_next(&args);

	names_update(r);
	if (word != NULL && word_abbreviates(word, "ladder", 1)) {
		ladder_show(r, args);
	} else if (word != NULL && word_abbreviates(word, "states", 2)) {
		states_show(r, args);
	} else if (word != NULL && word_abbreviates(word, "space", 2)) {
		space_show(r, args);
	} else {
		refuse(r, "show what? ladder, states, space");
	}
}

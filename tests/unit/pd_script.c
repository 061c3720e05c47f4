/* What pd_host.h declares: scripts in packetdrill's language, one connection a script. Comments and
 * our own directives mean nothing to packetdrill; `//@ config` and the options of a run become the
 * adapter's flags. A call that blocks while the one before it may still do so is awaited as
 * packetdrill does, in real time. What is not understood makes the script "not read". */
#include "pd_script.h"

#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLAGS_BYTES 1024

bool script_stop(struct script *s, enum pd_verdict v, const char *why)
{
	if (s->verdict == PD_PASSED) {
		s->verdict = v;
		snprintf(s->why, s->why_bytes, "line %u: %s", s->line, why);
	}
	return false;
}

/* ---- Packets --------------------------------------------------------------------------------- */

static void put32(uint8_t *b, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		b[i] = (uint8_t)(v >> (24 - 8 * i));
}

static uint32_t get32(const uint8_t *b)
{
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* One option's bytes; shift is added to edges of SACK blocks. 0: not understood. */
static uint32_t one_option(const char *t, uint8_t *o, uint32_t shift)
{
	unsigned v, ecr;
	int used;

	if (strcmp(t, "nop") == 0)
		return *o = 1, 1;
	if (strcmp(t, "eol") == 0)
		return *o = 0, 1;
	if (strcmp(t, "sackOK") == 0)
		return o[0] = 4, o[1] = 2, 2;
	if (sscanf(t, "mss %u", &v) == 1)
		return o[0] = 2, o[1] = 4, o[2] = (uint8_t)(v >> 8), o[3] = (uint8_t)v, 4;
	if (sscanf(t, "wscale %u", &v) == 1)
		return o[0] = 3, o[1] = 3, o[2] = (uint8_t)v, 3;
	if (sscanf(t, "TS val %u ecr %u", &v, &ecr) == 2) {
		o[0] = 8;
		o[1] = 10;
		put32(o + 2, v);
		put32(o + 6, ecr);
		return 10;
	}
	if (strncmp(t, "sack", 4) != 0)
		return 0;
	o[0] = 5;
	o[1] = 2;
	for (t += 4; sscanf(t, " %u:%u%n", &v, &ecr, &used) == 2 && o[1] < 34; t += used) {
		put32(o + o[1], v + shift);
		put32(o + o[1] + 4, ecr + shift);
		o[1] = (uint8_t)(o[1] + 8);
	}
	return o[1] > 2 && !*t ? o[1] : 0;
}

static bool read_options(struct seg *g, char *t, uint32_t shift)
{
	char *save;

	for (t = strtok_r(t, ",", &save); t; t = strtok_r(NULL, ",", &save)) {
		uint32_t n = g->n_opts > 20 && t[0] == 's' && t[4] == ' '
				     ? 0
				     : one_option(t, g->opts + g->n_opts, shift);

		if (!n || g->n_opts + n > 40)
			return false;
		g->n_opts += n;
	}
	while (g->n_opts % 4)
		g->opts[g->n_opts++] = 0;
	return true;
}

/* The option of timestamps, or NULL. */
static uint8_t *timestamps(struct seg *g)
{
	for (uint32_t i = 0; i + 10 <= g->n_opts; i += g->opts[i] < 2 ? 1 : g->opts[i + 1]) {
		if (g->opts[i] == 8)
			return g->opts + i;
		if (g->opts[i] > 1 && g->opts[i + 1] < 2)
			return NULL;
	}
	return NULL;
}

/* "S. 0:0(0) ack 1 win 5 <...>"; any_opts, any_win: not said. */
static bool read_packet(
	struct script *s, char *t, struct seg *g, uint32_t shift, bool *any_opts, bool *any_win)
{
	static const char letters[] = "FSRP.UEW";
	unsigned seq, end, len, v;
	char *opts = strchr(t, '<');
	int used;

	memset(g, 0, sizeof(*g));
	for (; *t && *t != ' '; t++) {
		const char *at = strchr(letters, *t);

		if (*t != '-' && !at)
			return script_stop(s, PD_NOT_READ, "flags");
		g->flags = (uint8_t)(g->flags | (*t == '-' ? 0 : 1 << (at - letters)));
	}
	if (sscanf(t, " %u:%u(%u)%n", &seq, &end, &len, &used) != 3 || end - seq != len)
		return script_stop(s, PD_NOT_READ, "numbers");
	g->seq = seq;
	g->len = len;
	t += used;
	if (sscanf(t, " ack %u%n", &v, &used) == 1)
		g->ack = v, t += used;
	*any_win = sscanf(t, " win %u%n", &v, &used) != 1;
	if (!*any_win)
		g->win = (uint16_t)v, t += used;
	if (sscanf(t, " urg %u%n", &v, &used) == 1)
		g->urg = (uint16_t)v, t += used;
	*any_opts = opts && strcmp(opts, "<...>") == 0;
	t += strspn(t, " ");
	if (t != (opts ? opts : t + strlen(t)))
		return script_stop(s, PD_NOT_READ, "a packet");
	if (!opts || *any_opts)
		return true;
	opts[strlen(opts) - 1] = 0;
	return read_options(g, opts + 1, shift) || script_stop(s, PD_NOT_READ, "options");
}

static bool inject(struct script *s, char *text)
{
	bool any_opts, any_win;
	uint8_t *ts;
	struct seg g;

	if (!read_packet(s, text, &g, s->iss, &any_opts, &any_win))
		return false;
	if ((g.flags & (F_SYN | F_ACK)) == F_SYN && s->isn_seen && !s->learned)
		return script_stop(s, PD_NOT_READ, "a second SYN before the first was answered");
	s->isn_seen = true;
	g.sport = s->rport;
	g.dport = s->lport;
	if (g.flags & F_ACK)
		g.ack += s->iss;
	ts = timestamps(&g);
	if (ts && get32(ts + 6) && s->ts_learned)
		put32(ts + 6, get32(ts + 6) + s->ts_off);
	pd_until(&s->h, s->from_us);
	pd_inject(&s->h, &g);
	return true;
}

static bool same_options(struct script *s, struct seg *want, struct seg *got)
{
	uint8_t *a = timestamps(want), *b = timestamps(got);

	if (a && b) {
		uint32_t v = get32(b + 2);

		if (!s->ts_learned)
			s->ts_off = v - get32(a + 2);
		s->ts_learned = true;
		if (v - s->ts_off - get32(a + 2) + 1 > 2)
			return false;
		memcpy(b + 2, a + 2, 4);
	}
	return want->n_opts == got->n_opts && memcmp(want->opts, got->opts, want->n_opts) == 0;
}

static bool expect(struct script *s, char *text)
{
	struct seg want, got, more;
	bool any_opts, any_win;
	long long slack = TOLERANCE_US;

	if (!read_packet(s, text, &want, 0, &any_opts, &any_win))
		return false;
	if (!pd_receive(&s->h, &got))
		return script_stop(s, PD_FAILED, "no packet came");
	while (got.len && got.len < want.len && pd_receive(&s->h, &more)) {
		if (more.seq != got.seq + got.len || more.ack != got.ack || !more.len)
			return script_stop(s, PD_FAILED, "the pieces do not fit");
		got.len += more.len;
		got.flags |= more.flags;
	}
	if (got.proto != IPPROTO_TCP)
		return script_stop(s, PD_FAILED, "another protocol");
	if (got.flags & F_SYN && (!s->learned || (got.seq != s->iss && want.seq == 0))) {
		s->iss = got.seq;
		s->learned = true;
		s->lport = got.sport;
		s->rport = got.dport;
	}
	if (got.flags & F_ACK)
		s->peer_next = got.ack;
	if (want.flags != got.flags || got.seq - s->iss != want.seq || got.len != want.len)
		return script_stop(s, PD_FAILED, "flags, number or length");
	if (got.flags & F_ACK && got.ack != want.ack)
		return script_stop(s, PD_FAILED, "ack");
	if ((!any_win && got.win != want.win) || got.urg != want.urg)
		return script_stop(s, PD_FAILED, "window");
	if (!any_opts && !same_options(s, &want, &got))
		return script_stop(s, PD_FAILED, "options");
	if (!s->any_time && (got.time_us < s->from_us - slack || got.time_us > s->to_us + slack))
		return script_stop(s, PD_FAILED, "time");
	return true;
}

/* ---- Lines ----------------------------------------------------------------------------------- */

/* "+.2~+.4 ", "0...0.2 ", "* "; returns what follows, or NULL. */
static char *read_time(struct script *s, char *t)
{
	char *end = strchr(t, ' '), *dots, *tilde;
	long long base = 0;

	if (!end)
		return NULL;
	*end++ = 0;
	dots = strstr(t, "...");
	tilde = strchr(t, '~');
	s->any_time = strcmp(t, "*") == 0;
	s->blocking = dots != NULL;
	s->from_us = s->to_us = pd_now_us(&s->h);
	if (s->any_time)
		return end;
	if (*t == '+')
		base = s->from_us;
	else if (!isdigit((unsigned char)*t) && *t != '.')
		return NULL;
	s->from_us = s->to_us = base + (long long)(strtod(t, NULL) * 1e6 + 0.5);
	if (dots)
		s->to_us = base + (long long)(strtod(dots + 3, NULL) * 1e6 + 0.5);
	if (tilde)
		s->to_us = base + (long long)(strtod(tilde + 1, NULL) * 1e6 + 0.5);
	return end;
}

static bool event(struct script *s, char *t)
{
	t = read_time(s, t);
	if (!t)
		return script_stop(s, PD_NOT_READ, "time");
	t += strspn(t, " ");
	if (strncmp(t, "< ", 2) == 0)
		return inject(s, t + 2);
	return strncmp(t, "> ", 2) == 0 ? expect(s, t + 2) : script_call(s, t);
}

/* Copies the next line; false: the end. */
static bool next_line(const char **text, char *line, size_t room)
{
	size_t n = strcspn(*text, "\n");

	if (!**text)
		return false;
	snprintf(line, room, "%.*s", (int)n, *text);
	*text += n + ((*text)[n] == '\n');
	n = strlen(line);
	while (n && isspace((unsigned char)line[n - 1]))
		line[--n] = 0;
	return true;
}

/* Does a call of the script block directly behind another such? Then packetdrill waits for the
 * first without moving time, and only the adapter's idle_ms does. */
static bool blocks_in_a_row(const char *text)
{
	bool before = false;
	char line[512];

	while (next_line(&text, line, sizeof(line))) {
		size_t word = strcspn(line, " ");
		char *dots = strstr(line, "...");
		bool blocks = isdigit((unsigned char)line[strspn(line, "+.")]) && dots &&
			      dots < line + word;

		if (blocks && before)
			return true;
		if (*line && strncmp(line, "//", 2) != 0)
			before = blocks;
	}
	return false;
}

/* "a=1 b=2" */
static void add_sysctls(char *flags, size_t room, char *text)
{
	for (char *p = text; *p; p++)
		if (*p == ' ')
			*p = ',';
	snprintf(flags, room, ",%s", text);
}

/* What a script asks for before it begins, as the adapter's flags. */
static bool read_flags(const char *text, char *flags)
{
	char line[512], name[64], value[256];
	size_t n;

	snprintf(flags, FLAGS_BYTES, "192.168.0.1/16,192.0.2.0/24%s",
		blocks_in_a_row(text) ? "" : ",idle_ms=0");
	while (next_line(&text, line, sizeof(line))) {
		n = strlen(flags);
		if (sscanf(line, "//@ config %63s %63s", name, value) == 2)
			snprintf(flags + n, FLAGS_BYTES - n, ",%s=%s", name, value);
		else if (sscanf(line, "--mtu=%63s", value) == 1)
			snprintf(flags + n, FLAGS_BYTES - n, ",mtu=%s", value);
		else if (sscanf(line, "`sysctl -q %255[^`\"\\;]%1[`]", value, name) == 2)
			add_sysctls(flags + n, FLAGS_BYTES - n, value);
		else if (line[0] == '`' || strncmp(line, "--", 2) == 0 ||
			 strncmp(line, "//@ next", 8) == 0)
			return false;
	}
	return true;
}

enum pd_verdict pd_script(const char *text, char *why, size_t why_bytes)
{
	struct script *s = calloc(1, sizeof(*s));
	char flags[FLAGS_BYTES], line[512];
	enum pd_verdict v;

	ck_assert_ptr_nonnull(s);
	s->why = why;
	s->why_bytes = why_bytes;
	s->lport = 8080;
	s->rport = 40000;
	memset(s->fd, -1, sizeof(s->fd));
	if (!read_flags(text, flags)) {
		free(s);
		return PD_NOT_READ;
	}
	pd_open(&s->h, flags);
	while (next_line(&text, line, sizeof(line))) {
		s->line++;
		if (!*line || *line == '`' || strncmp(line, "//", 2) == 0 ||
			strncmp(line, "--", 2) == 0)
			continue;
		if (!event(s, line))
			break;
	}
	script_end_pending(s);
	v = s->verdict;
	/* As packetdrill: what had a connection is reset. */
	if (s->learned)
		pd_inject(&s->h, &(struct seg){.flags = F_RST | F_ACK,
					 .sport = s->rport,
					 .dport = s->lport,
					 .seq = s->peer_next,
					 .ack = s->iss + 1});
	pd_close(&s->h);
	free(s);
	return v;
}

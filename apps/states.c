/* `tapglass states`: the moves between the states of a connection that the code allows (it asserts
 * the same table), with their causes, the clause of each, and the tests that show it: as text, or
 * as a graph for Graphviz. The tests are those of tests/moves.tsv, which is part of the program. */
#include <stdio.h>
#include <string.h>

#include "step.h"
#include "tapglass_rules.h"
#include "util.h"
#include "verbs.h"

#define LIST "tests/moves.tsv"

struct states_verb {
	bool dot, all;
};

enum { OPT_DOT = 1, OPT_VERBOSE };

static const struct option_spec specs[] = {
	{"dot", 0, OPT_DOT, NULL, "a graph for Graphviz: tapglass states --dot | dot -Tsvg"},
	{"verbose", 'v', OPT_VERBOSE, NULL, "all tests that are listed, not one for each cause"},
	{NULL, 0, 0, NULL, NULL},
};

static int set_option(void *ctx, int value, const char *arg)
{
	struct states_verb *v = ctx;

	(void)arg;
	v->dot |= value == OPT_DOT;
	v->all |= value == OPT_VERBOSE;
	return 0;
}

const struct verb_spec states_spec = {
	.usage = "states [OPTION]...",
	.about =
		"Prints the moves between the states of a connection that the stack makes, what "
		"causes\neach, the clause that asks for it (\"-\": a bound of our own), and a test "
		"that shows it.\n\"*\" marks what Figure 5 of RFC 9293 draws. The stack asserts "
		"that it makes no others.",
	.example = "  tapglass states --dot | dot -Tsvg -o states.svg",
	.options = specs,
	.set = set_option,
};

/* ---- What is known of a move ----------------------------------------------------------------- */

/* Does Figure 5 draw it? Its causes are the segments, the calls and the one clock of a connection
 * that goes well; to LISTEN it draws the RST alone, to SYN-RECEIVED the SYN. */
static bool is_drawn(const struct tg_move *m)
{
	static const uint16_t drawn[] = {TG_CAUSE_LISTEN_CALL, TG_CAUSE_CONNECT_CALL,
		TG_CAUSE_CLOSE_CALL, TG_CAUSE_SYN, TG_CAUSE_SYN_ACK, TG_CAUSE_SYN_CROSSING,
		TG_CAUSE_ACK_OF_SYN, TG_CAUSE_ACK_OF_FIN, TG_CAUSE_FIN, TG_CAUSE_TWO_MSL,
		TG_CAUSE_RST_TO_LISTEN};

	if (m->to == TG_LISTEN && m->cause == TG_CAUSE_SYN) {
		return false;
	}
	for (size_t i = 0; i < sizeof drawn / sizeof drawn[0]; i++) {
		if (drawn[i] == m->cause) {
			return true;
		}
	}
	return false;
}

static bool same_edge(const struct tg_move *a, const struct tg_move *b)
{
	return a->from == b->from && a->to == b->to;
}

static const char *cause_of(const struct tg_move *m)
{
	return tg_cause_text((enum tg_cause)m->cause);
}

static const char *clause_of(const struct tg_move *m)
{
	return tg_cause_clause((enum tg_cause)m->cause);
}

/* The tests of a move, with tabs between, up to the line's end; NULL: none is listed. */
static const char *tests_of(const struct tg_move *m)
{
	const struct listed_file *f = listed_files;
	char key[128];
	size_t n;

	snprintf(key, sizeof key, "%s\t%s\t%s\t", tg_state_name((enum tg_state)m->from),
		tg_state_name((enum tg_state)m->to), cause_of(m));
	n = strlen(key);
	while (f->name != NULL && strcmp(f->name, LIST) != 0) {
		f++;
	}
	for (const char *p = f->name != NULL ? f->text : NULL; p != NULL && p < f->end;) {
		if (strncmp(p, key, n) == 0) {
			return p + n;
		}
		p = strchr(p, '\n');
		p = p != NULL ? p + 1 : NULL;
	}
	return NULL;
}

/* ---- As text --------------------------------------------------------------------------------- */

static void print_tests(const struct tg_move *m, bool all)
{
	const char *p = tests_of(m);
	bool first = true;

	while (p != NULL && *p != '\n' && *p != '\0' && (first || all)) {
		size_t n = strcspn(p, "\t\n");

		printf("%*s%.*s\n", first ? 0 : 77, "", (int)n, p);
		p += n + (p[n] == '\t');
		first = false;
	}
	if (first) {
		puts("-");
	}
}

static void print_text(bool all)
{
	struct tg_move m, last = {0, 0, 0};
	uint32_t cursor = 0;

	while (tg_moves(&cursor, &m)) {
		if (last.cause == TG_CAUSE_NONE || last.from != m.from) {
			printf("%s%s\n", last.cause == TG_CAUSE_NONE ? "" : "\n",
				tg_state_name((enum tg_state)m.from));
		}
		printf("%c %-15s%-43s %-15s ", is_drawn(&m) ? '*' : ' ',
			same_edge(&m, &last) && last.cause != TG_CAUSE_NONE
				? ""
				: tg_state_name((enum tg_state)m.to),
			cause_of(&m), clause_of(&m));
		print_tests(&m, all);
		last = m;
	}
}

/* ---- As a graph ------------------------------------------------------------------------------ */

/* One arrow of an edge: what Figure 5 draws of it, or the rest. */
static void print_arrow(const struct tg_move *edge, bool drawn)
{
	struct tg_move m;
	uint32_t cursor = 0;
	bool any = false;

	while (tg_moves(&cursor, &m)) {
		if (!same_edge(&m, edge) || is_drawn(&m) != drawn) {
			continue;
		}
		if (!any) {
			printf("\t\"%s\" -> \"%s\" [label=\"", tg_state_name((enum tg_state)m.from),
				tg_state_name((enum tg_state)m.to));
		}
		printf("%s%s", any ? "\\n" : "", cause_of(&m));
		any = true;
	}
	if (any) {
		printf("\"%s];\n",
			drawn ? "" : ", style=dashed, color=gray50, fontcolor=gray40, weight=0");
	}
}

static void print_dot(void)
{
	struct tg_move m, last = {0, 0, 0};
	uint32_t cursor = 0;

	puts("// Solid: Figure 5 of RFC 9293. Dashed: resets, aborts, time-outs and our own "
	     "bounds.\n"
	     "digraph tcp {\n"
	     "\tnode [shape=box, style=rounded, fontname=\"sans-serif\"];\n"
	     "\tedge [fontname=\"sans-serif\", fontsize=10];");
	while (tg_moves(&cursor, &m)) {
		if (last.cause == TG_CAUSE_NONE || !same_edge(&m, &last)) {
			print_arrow(&m, true);
			print_arrow(&m, false);
		}
		last = m;
	}
	puts("}");
}

int states_main(int argc, char **argv)
{
	struct states_verb v = {false, false};
	struct options common;
	int first, r;

	options_default(&common);
	r = options_parse(argc, argv, &states_spec, &common, &v, &first);
	if (r != OPTIONS_GO) {
		return r;
	}
	if (v.dot) {
		print_dot();
	} else {
		print_text(v.all);
	}
	return EXIT_OK;
}

/* list: what a clause asks, and the C that implements it. The list of clauses and the sources are
 * part of the program (see the Makefile), so it shows the code that runs, wherever it was
 * installed. */
#define _GNU_SOURCE 1
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "step.h"

#define BEFORE 6
#define AFTER  12

/* ---- Lines ----------------------------------------------------------------------------------- */

static const char *line_end(const char *p, const char *end)
{
	const char *stop = memchr(p, '\n', (size_t)(end - p));

	return stop != NULL ? stop : end;
}

static unsigned line_number(const struct listed_file *f, const char *at)
{
	unsigned n = 1;

	for (const char *p = f->text; p < at; p++) {
		n += *p == '\n';
	}
	return n;
}

/* The lines around `at`, the one itself marked. */
static void print_around(const struct listed_file *f, const char *at)
{
	const char *p = at;
	unsigned number, back = 0;

	while (p > f->text && (back < BEFORE || p[-1] != '\n')) {
		back += p[-1] == '\n';
		p--;
	}
	number = line_number(f, p);
	printf("%s:%u\n", f->name, line_number(f, at));
	for (unsigned i = 0; i < BEFORE + AFTER && p < f->end; i++, number++) {
		const char *stop = line_end(p, f->end);

		printf("%c%5u  %.*s\n", at >= p && at <= stop ? '>' : ' ', number, (int)(stop - p),
			p);
		p = stop + 1;
	}
}

static bool is_source(const struct listed_file *f)
{
	return strncmp(f->name, "stack/", 6) == 0;
}

/* ---- Clauses --------------------------------------------------------------------------------- */

/* Prints what the list of clauses says of this id; false: no such clause. */
static bool print_duty(const char *id)
{
	const struct listed_file *f = &listed_files[0];
	size_t n = strlen(id);

	for (const char *p = f->text; p < f->end; p = line_end(p, f->end) + 1) {
		const char *stop = line_end(p, f->end), *level, *duty;

		if ((size_t)(stop - p) <= n || strncasecmp(p, id, n) != 0 || p[n] != '\t') {
			continue;
		}
		level = p + n + 1;
		duty = memchr(level, '\t', (size_t)(stop - level));
		if (duty != NULL) {
			const char *over = memchr(duty + 1, '\t', (size_t)(stop - duty - 1));

			printf("%.*s (%.*s): %.*s\n", (int)n, p, (int)(duty - level), level,
				(int)((over != NULL ? over : stop) - duty - 1), duty + 1);
		}
		return true;
	}
	return false;
}

/* Does the tag between brackets [at, end) name this clause? Tags are "9293 MUST-3", "5681-8",
 * several with commas, of which the RFC's number may stand with the first alone, and ranges. */
static bool tag_names(const char *at, const char *end, const char *id)
{
	const char *part = strchr(id, '-');
	char rfc[16] = "", item[48];
	size_t rfc_n = part != NULL ? (size_t)(part - id) : 0;

	while (at < end && part != NULL) {
		const char *stop = memchr(at, ',', (size_t)(end - at)), *word;
		size_t n;

		stop = stop != NULL ? stop : end;
		at += strspn(at, " \n\t*");
		n = stop > at ? (size_t)(stop - at) : 0;
		if (n >= sizeof item) {
			return false;
		}
		memcpy(item, at, n);
		item[n] = '\0';
		word = item;
		if (strspn(item, "0123456789") >= 3 &&
			(item[strspn(item, "0123456789")] == ' ' ||
				item[strspn(item, "0123456789")] == '-')) {
			size_t digits = strspn(item, "0123456789");

			memcpy(rfc, item, digits);
			rfc[digits] = '\0';
			word = item + digits + 1;
		}
		if (strlen(rfc) == rfc_n && strncmp(rfc, id, rfc_n) == 0 &&
			strcasecmp(word, part + 1) == 0) {
			return true;
		}
		at = stop + 1;
	}
	return false;
}

/* Every place with a tag of this clause: the first with its lines, the others by name. */
static unsigned print_code(const char *id)
{
	unsigned found = 0;

	for (const struct listed_file *f = &listed_files[1]; f->name != NULL; f++) {
		const char *p = is_source(f) ? f->text : f->end;

		while ((p = memchr(p, '[', (size_t)(f->end - p))) != NULL) {
			const char *end = memchr(p, ']', (size_t)(f->end - p));

			p++;
			if (end == NULL || end - p > 120 || !isdigit((unsigned char)*p) ||
				!tag_names(p, end, id)) {
				continue;
			}
			if (found++ == 0) {
				print_around(f, p);
			} else {
				printf("also %s:%u\n", f->name, line_number(f, p));
			}
		}
	}
	return found;
}

/* ---- Rules ----------------------------------------------------------------------------------- */

/* Does this name stand in the line [p, stop), as an argument? */
static bool line_marks(const char *p, const char *stop, const char *name, size_t n)
{
	for (const char *q = p + 1; q < stop; q++) {
		if (q[-1] == ' ' && strncmp(q, name, n) == 0 && (q[n] == ',' || q[n] == ')')) {
			return true;
		}
	}
	return false;
}

/* Where the mark of this rule stands. */
static bool print_mark(unsigned rule)
{
	char name[64];
	size_t n = strlen(tg_rule_name(rule));

	if (n >= sizeof name) {
		return false;
	}
	for (size_t i = 0; i <= n; i++) {
		name[i] = (char)toupper((unsigned char)tg_rule_name(rule)[i]);
	}
	for (const struct listed_file *f = &listed_files[1]; f->name != NULL; f++) {
		const char *p = f->text;

		while ((p = memmem(p, (size_t)(f->end - p), "RULE", 4)) != NULL) {
			if (line_marks(p, line_end(p, f->end), name, n)) {
				print_around(f, p);
				return true;
			}
			p += 4;
		}
	}
	return false;
}

/* The rules of what comes next, or of what happened last; the code of the n-th. */
static void list_rules(struct repl *r, unsigned which)
{
	const struct tg_step_effects *fx = r->predicted && r->will.n_rules ? &r->will : &r->did;
	uint32_t n = fx->n_rules < TG_RULE_HITS ? fx->n_rules : TG_RULE_HITS;

	if (n == 0 || (fx == &r->did && !r->have_did)) {
		refuse(r, "no rule is at work here: list CLAUSE, such as list 9293-MUST-13, list "
			  "5961-2");
		return;
	}
	if (which > n) {
		refuse(r, "there are %" PRIu32 " rules here", n);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		printf("%c %2" PRIu32 " ", i + 1 == which ? '>' : ' ', i + 1);
		if (!print_duty(tg_rule_clause(fx->rule[i].hit.rule))) {
			printf("%s\n", tg_rule_clause(fx->rule[i].hit.rule));
		}
	}
	if (!print_mark(fx->rule[which - 1].hit.rule)) {
		print_code(tg_rule_clause(fx->rule[which - 1].hit.rule));
	}
	if (n > 1 && which == 1) {
		puts("(\"list 2\" and so on show the code of the others)");
	}
}

void info_list(struct repl *r, char *args)
{
	char id[64], *word;
	uint64_t which = 1;

	args += strspn(args, " ");
	snprintf(id, sizeof id, "%s", args);
	for (word = id + strlen(id); word > id && word[-1] == ' ';) {
		*--word = '\0';
	}
	if (id[0] == '\0' || parse_u64(id, 1, TG_RULE_HITS, &which)) {
		list_rules(r, (unsigned)which);
		return;
	}
	for (unsigned i = 1; i < TG_RULE_COUNT; i++) {
		if (strcmp(tg_rule_name(i), id) == 0) {
			print_duty(tg_rule_clause(i));
			print_mark(i);
			return;
		}
	}
	word = strchr(id, ' '); /* "9293 MUST-13" as well as "9293-MUST-13" */
	if (word != NULL) {
		*word = '-';
	}
	if (!print_duty(id)) {
		refuse(r,
			"there is no clause \"%s\": such as 9293-MUST-13, 9293-3.10.7.4-5, 5961-2, "
			"6298-2.3 (stack/CONFORMANCE.md has all)",
			id);
	} else if (print_code(id) == 0) {
		puts("no code bears its tag: it is left out, or a property of the whole");
	}
}

/* Completion, out of the tables that getopt and --help are made of. A word that bash split at its
 * equals sign is put together again. */
#include "complete.h"

#include <stdio.h>
#include <string.h>

/* What arguments of these names in the help can be. */
static const struct {
	const char *arg, *words;
} kinds[] = {
	{"LINK", "auto private veth sim tap:"},
	{"WHEN", "auto always never"},
	{"LEVEL", "events all"},
	{"METHOD", "GET HEAD PUT POST DELETE OPTIONS"},
	{"ipv4", "ipv4"},
	{"UNIT", "k m g t K M G T"},
	{"CC", "cubic reno"},
};

struct search {
	const char *word; /* option, as typed, or its beginning */
	bool found;
	const char *arg; /* found: what it takes */
};

static void offer(const char *prefix, const char *dashes, const char *word, size_t n)
{
	char text[64];

	snprintf(text, sizeof text, "%s%.*s", dashes, (int)n, word);
	if (strncmp(text, prefix, strlen(prefix)) == 0) {
		puts(text);
	}
}

static void offer_option(void *ctx, const struct option_spec *s)
{
	if (s->name != NULL) {
		offer(ctx, "--", s->name, strlen(s->name));
	} else {
		offer(ctx, "-", &s->letter, 1);
	}
}

static void match_option(void *ctx, const struct option_spec *s)
{
	struct search *f = ctx;
	const char *w = f->word;

	if ((s->name != NULL && strncmp(w, "--", 2) == 0 && strcmp(w + 2, s->name) == 0) ||
		(s->letter != 0 && w[0] == '-' && w[1] == s->letter && w[2] == '\0')) {
		f->found = true;
		f->arg = s->arg;
	}
}

static void every_option(
	const struct verb_spec *v, void (*fn)(void *, const struct option_spec *), void *ctx)
{
	struct option_spec s;
	char name[16];

	options_each(v, fn, ctx);
	for (unsigned i = 0; v->link_options && options_impairment(i, &s, name); i++) {
		fn(ctx, &s);
	}
}

static void offer_values(const char *arg, const char *prefix)
{
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		const char *w = kinds[i].words;

		while (strcmp(kinds[i].arg, arg) == 0 && *w != '\0') {
			size_t n = strcspn(w, " ");

			offer(prefix, "", w, n);
			w += n + (w[n] == ' ');
		}
	}
}

/* The words behind the verb, the last one being typed. */
static void complete_verb(const struct verb_spec *v, int n, char **words)
{
	union {
		const char *c;
		void *p;
	} prefix = {.c = words[n - 1]};
	struct search f = {.word = n >= 2 ? words[n - 2] : ""};
	bool equals = n >= 2 && strcmp(prefix.c, "=") == 0;

	for (int i = 0; i < n - 1; i++) {
		if (strcmp(words[i], "--") == 0) {
			return;
		}
	}
	if (equals) { /* --link= */
		prefix.c = "";
	} else if (n >= 3 && strcmp(f.word, "=") == 0) { /* --link=s */
		f.word = words[n - 3];
		equals = true;
	}
	every_option(v, match_option, &f);
	if (f.found && f.arg != NULL && (equals || f.arg[0] != '[')) {
		offer_values(f.arg, prefix.c);
	} else if (prefix.c[0] == '-') {
		every_option(v, offer_option, prefix.p);
	}
}

void complete_print(const struct verb *verbs, size_t n_verbs, int n, char **words)
{
	const struct verb *v = &verbs[0];
	bool help = n >= 2 && strcmp(words[0], "help") == 0;

	if (n <= 0) {
		return;
	}
	if ((n == 1 && words[0][0] != '-') || (n == 2 && help)) {
		for (size_t i = 0; i < n_verbs; i++) {
			offer(words[n - 1], "", verbs[i].name, strlen(verbs[i].name));
		}
		return;
	}
	if (words[0][0] != '-') {
		for (v = NULL; n_verbs > 0 && v == NULL; n_verbs--) {
			v = strcmp(verbs[n_verbs - 1].name, words[0]) == 0 ? &verbs[n_verbs - 1]
									   : NULL;
		}
		words++;
		n--;
	} else if (n == 1) {
		offer(words[0], "--", "version", 7);
	}
	if (v != NULL && v->spec != NULL) {
		complete_verb(v->spec, n, words);
	}
}

/* `tapglass trace FILE`: an event log in another form. What is damaged is skipped, said and shown
 * in the exit status; everything else is printed. */
#define _GNU_SOURCE 1
#include "trace.h"
#include "verbs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct trace_verb {
	const struct trace_form *form;
};

static const struct trace_form *const forms[] = {
	&trace_form_text, &trace_form_csv, &trace_form_ladder, &trace_form_perfetto};

static const struct option_spec trace_options[] = {
	{"text", 0, 1, NULL, "a line for each event (this is the default)"},
	{"csv", 0, 2, NULL, "comma-separated values: a column for each field"},
	{"ladder", 0, 3, NULL, "segments as arrows between the peer and the stack"},
	{"perfetto", 0, 4, NULL, "JSON for ui.perfetto.dev and chrome://tracing"},
	{NULL, 0, 0, NULL, NULL},
};

static int trace_set(void *ctx, int value, const char *arg)
{
	struct trace_verb *v = ctx;

	(void)arg;
	v->form = forms[value - 1];
	return 0;
}

const struct verb_spec trace_spec = {
	.usage = "trace [OPTION]... FILE",
	.about = "Prints an event log (up --log FILE) in another form. FILE -: standard input.",
	.example = "  tapglass up --log run.sqlog --log-level all\n"
		   "  tapglass trace --ladder run.sqlog\n"
		   "  tapglass up --log json | tapglass trace -\n",
	.options = trace_options,
	.min_args = 1,
	.max_args = 1,
	.args_name = "FILE",
	.set = trace_set,
};

static int read_all(const struct trace_verb *v, const char *path, struct trace_reader *r)
{
	enum trace_result rc = trace_header(r);
	struct trace_event e;
	uint64_t damaged = 0, first = 0;
	void *state = NULL;
	bool begun;

	if (rc != TRACE_EVENT) {
		return failure("%s: not an event log of tapglass", path);
	}
	begun = v->form->begin(&state);
	while (begun && (rc = trace_next(r, &e)) != TRACE_END && rc != TRACE_CUT) {
		if (rc == TRACE_EVENT) {
			v->form->event(state, &e);
			if (r->f == stdin) {
				fflush(stdout); /* somebody is watching */
			}
		} else {
			first = damaged++ == 0 ? r->records : first;
		}
	}
	v->form->end(state);
	if (!begun) {
		return failure("out of memory");
	}
	if (damaged > 0) {
		say("%s: skipped %llu damaged records, the first of them number %llu", path,
			(unsigned long long)damaged, (unsigned long long)first);
	}
	if (rc == TRACE_CUT) {
		say("%s: cut off in record %llu", path, (unsigned long long)r->records);
	}
	return damaged > 0 || rc == TRACE_CUT ? EXIT_FAILED : EXIT_OK;
}

int trace_main(int argc, char **argv)
{
	struct trace_verb v = {&trace_form_text};
	struct trace_reader *r;
	struct options common;
	const char *path;
	FILE *f;
	int first, rc;

	options_default(&common);
	rc = options_parse(argc, argv, &trace_spec, &common, &v, &first);
	if (rc != OPTIONS_GO) {
		return rc;
	}
	path = argv[first];
	f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rbe");
	if (f == NULL) {
		return usage_error("trace: %s: %s", path, strerror(errno));
	}
	r = calloc(1, sizeof *r);
	rc = r != NULL && trace_reader_open(r, f) ? read_all(&v, path, r)
						  : failure("out of memory");
	if (ferror(f)) {
		rc = failure("%s: %s", path, strerror(EIO));
	}
	if (r != NULL) {
		trace_reader_close(r);
	}
	free(r);
	if (f != stdin) {
		fclose(f);
	}
	if (fflush(stdout) != 0 || ferror(stdout)) {
		rc = failure("standard output: %s", strerror(errno));
	}
	return rc;
}

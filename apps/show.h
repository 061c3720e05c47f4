/* Verbs that print a table of the running instance and end. */
#ifndef TAPGLASS_APPS_SHOW_H
#define TAPGLASS_APPS_SHOW_H

#include <json-c/json.h>
#include <stdio.h>

#include "job.h"

/* A text that grows. */
struct show_text {
	FILE *f;
	char *text;
	size_t bytes;
};
/* False: out of memory. */
bool show_begin(struct show_text *t);
/* Hands it to the job; the exit status. */
int show_end(struct job *j, struct show_text *t);
/* Takes o over; the exit status. */
int show_json(struct job *j, struct json_object *o);

/* The asking side: checks the command line, then lets the running instance work. */
int show_running(int argc, char **argv, const struct verb_spec *v, struct options *o, void *ctx);

#endif

/* Verbs that work on the running instance or, without one, on a link of their own. */
#ifndef TAPGLASS_APPS_ALONE_H
#define TAPGLASS_APPS_ALONE_H

#include "job.h"

/* io: what to work with; NULL: the standard descriptors. o: as parsed from argv. On the instance of
 * that name if it runs and nothing was said about a link, else on a link of its own, until the job
 * has finished, SIGINT or SIGTERM. The exit status.
 */
int verb_run(const struct job_verb *v, const struct options *o, const struct job_io *io, int argc,
	char **argv);

#endif

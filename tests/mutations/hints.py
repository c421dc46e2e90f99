"""How work is told of and taken up: hints through Redis, jobs, workers, and a database of another version."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

SCHEMA = "tests/jobs/test_schema.py::"
QUEUES = "tests/jobs/test_queues.py::"
LISTENING = "tests/jobs/test_listening.py::"

MUTATIONS = (
    Mutation(
        "hints: a worker goes on when Redis was emptied under its job",
        "jobs/worker.py",
        "            except InvalidJobOperation:\n                self._forget(job)\n",
        "            except ZeroDivisionError:\n                pass\n",
        "tests/jobs/test_queues.py::test_a_worker_under_whose_job_redis_is_emptied_goes_on_and_leaves_nothing_there",
    ),
    Mutation(
        "hints: half a job is taken away",
        "jobs/worker.py",
        "            self.connection.delete(job.key)\n",
        "            pass\n",
        "tests/jobs/test_queues.py::test_a_worker_under_whose_job_redis_is_emptied_goes_on_and_leaves_nothing_there",
    ),
    Mutation(
        "hints: half a job is forgotten in time",
        "jobs/queues.py",
        '_STAMPS = ("last_heartbeat", ',
        "_STAMPS = (",
        "tests/jobs/test_queues.py::test_half_a_job_that_a_heartbeat_left_is_forgotten_like_a_whole_one",
    ),
    Mutation(
        "schema: a worker leaves a database of another one alone",
        "jobs/tasks.py",
        "    return _schema.fits()\n",
        "    return True\n",
        SCHEMA + "test_a_worker_leaves_a_database_of_another_schema_alone_until_it_fits[sqlite-0001]",
    ),
    Mutation(
        "schema: one that is newer does not fit either",
        "jobs/schema.py",
        "            self._fits = found == wanted\n",
        "            self._fits = found is not None and found > wanted\n",
        SCHEMA + "test_a_worker_leaves_a_database_of_another_schema_alone_until_it_fits[sqlite-9999]",
    ),
    Mutation(
        "schema: a clock leaves a database of another one alone",
        "jobs/clock.py",
        "            if fits:\n                tick(",
        "            if True:\n                tick(",
        SCHEMA + "test_a_clock_makes_no_event_of_a_time_in_a_database_of_another_schema",
    ),
    Mutation(
        "only our functions are jobs",
        "jobs/queues.py",
        "if self.func_name not in FUNCTIONS.values() or self._instance is not None or self.args or self.kwargs:",
        "if self._instance is not None or self.kwargs:",
        QUEUES + "test_a_job_that_names_another_function_is_refused_and_nothing_runs",
    ),
    Mutation(
        "our functions take no arguments",
        "jobs/queues.py",
        "or self._instance is not None or self.args or self.kwargs:",
        "or self._instance is not None:",
        QUEUES + "test_our_own_function_with_arguments_is_refused_before_it_is_called",
    ),
    Mutation(
        "no success callback that stands in Redis",
        "jobs/queues.py",
        "    @property\n    def success_callback(self) -> None:\n        return None\n",
        "",
        QUEUES + "test_callbacks_and_webhooks_that_stand_in_redis_are_not_called",
    ),
    Mutation(
        "no failure callback that stands in Redis",
        "jobs/queues.py",
        "    @property\n    def failure_callback(self) -> None:\n        return None\n",
        "",
        QUEUES + "test_callbacks_and_webhooks_that_stand_in_redis_are_not_called",
    ),
    Mutation(
        "no stopped callback that stands in Redis",
        "jobs/queues.py",
        "    @property\n    def stopped_callback(self) -> None:\n        return None\n",
        "",
        QUEUES + "test_callbacks_and_webhooks_that_stand_in_redis_are_not_called",
    ),
    Mutation(
        "no webhook that stands in Redis",
        "jobs/queues.py",
        "    def send_webhooks(self, *args: Any, **kwargs: Any) -> None:",
        "    def send_no_webhooks(self, *args: Any, **kwargs: Any) -> None:",
        QUEUES + "test_callbacks_and_webhooks_that_stand_in_redis_are_not_called",
    ),
    Mutation(
        "what came while Redis was silent is looked for before RQ waits for it, too",
        "jobs/tasks.py",
        "    if heard or ear.deaf:",
        "    if heard:",
        "tests/jobs/test_listening.py::test_what_came_while_a_silent_redis_was_asked_to_list_it_is_looked_for[sqlite]",
    ),
    Mutation(
        "a word at the very end of a listening job is heard",
        "jobs/tasks.py",
        "    if heard or ear.deaf:  # at",
        "    if ear.deaf:  # at",
        LISTENING + "test_a_word_that_comes_when_a_listening_job_is_about_to_end_is_not_lost",
    ),
    Mutation(
        "an ear that was listed too long ago takes no hint",
        "jobs/listening.py",
        "redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now_ms)\n",
        "",
        LISTENING + "test_of_those_that_listened_only_one_that_still_does_is_told",
    ),
    Mutation(
        "work goes on without Redis",
        "jobs/worker.py",
        "            away = True\n        if not stop():\n            _look(work)\n",
        "            away = True\n        if not stop():\n",
        QUEUES + "test_a_worker_works_without_redis_and_goes_back_to_it",
    ),
    Mutation(
        "the clock finds due lanes",
        "jobs/clock.py",
        "        services.queues.hint(work)\n",
        "        pass\n",
        QUEUES + "test_the_clock_tells_of_what_nobody_was_told_about",
    ),
    Mutation(
        "a worker asked to end while it starts",
        "jobs/worker.py",
        "        self._stop_requested = self.stop()",
        "        self._stop_requested = False",
        QUEUES + "test_a_worker_asked_to_end_while_rq_starts_waits_for_no_hint",
    ),
)

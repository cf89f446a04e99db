"""Session: the LM, stores, recordings, counts and prepared units of one run in one process.

How the plugin uses it::

    session = Session(settings, hooks=Hooks(...), on_warning=warn)

    # --lm-compile: once a unit, before its first case; its cases then test the new program
    outcome = session.compile(unit, progress)          # CompileOutcome; raises LmprogError

    state = session.prepare(unit, fixture_lm=None)     # once a unit, then cheap; raises LmprogError
    state.expect(selected)                             # [(example, rollout), ...] in running order, once
    run = state.run(example, rollout)                  # programs.Run; raises LMError, ReplayMissError, ...
    with state.active(label): ...                      # LM, temperature and call scope, around a test body
    outcome = state.judge(metric, example, rollout, status="fail", score=None, message="...", run=run)
    outcome.verdict, ratchet.REPORTED[outcome.verdict] # how to report it

    # in the report, as plain data:
    state.info(node_ids).to_plain(); outcome.to_plain(); count_to_plain(state.drain())

    with session.plain(module_path, label): ...        # plain tests that use the lm fixture

    written = session.finish(results)                  # --lm-compile/--lm-update: snapshots
    session.close(complete_and_passed=True)            # recordings
    # xdist: the worker hands over session.harvest() (plain data); the controller absorbs it, then closes
"""

"""The replay lab: past items' events once more, against the live rule list and against it with drafts in place.

`story` reads what came from outside, `recorded` what connected systems answered then, `lab` lets it happen again in a
scratch database under a clock that jumps, `told` says what became of it, `work` is the job around them.
"""

"""What the AWS home costs a month: an estimate, made without asking AWS anything.

`prices` is what AWS asks, `usage` what an image uses, `plan` what is to be estimated; `quantities`
multiplies them out, `bill` puts prices to it.
"""

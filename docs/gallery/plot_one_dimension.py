"""
Which layer fits which frequency?
=================================

The target is a function of one variable, made of a low and some higher frequencies. Each layer adds
its part to the prediction. The map shows how large each frequency is in each part.
"""

import keras_lcb as lcb

config = lcb.synthetic.Config(
    depth=4, width=64, optimizer="adam", learning_rate=0.002, updates=1500
)
run = lcb.synthetic.run(config)
lcb.plotting.plot_frequency_map(run)

# %%
# Low frequencies are learned before high ones.

lcb.plotting.plot_frequency_error(run)

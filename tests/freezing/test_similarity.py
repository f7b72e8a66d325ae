import numpy as np

from keras_lcb.freezing.similarity import gram, linear_cka


def test_linear_cka_is_the_ratio_of_its_definition():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(9, 5)), random.normal(size=(9, 2, 4))
    xc, yc = x - x.mean(0), y.reshape(9, -1) - y.reshape(9, -1).mean(0)
    cross = np.linalg.norm(xc.T @ yc) ** 2
    expected = cross / (np.linalg.norm(xc.T @ xc) * np.linalg.norm(yc.T @ yc))
    np.testing.assert_allclose(linear_cka(gram(x), gram(y)), expected)


def test_activations_without_differences_between_samples_have_no_similarity():
    constant = gram(np.ones((4, 3)))
    assert np.isnan(linear_cka(constant, gram(np.eye(4))))

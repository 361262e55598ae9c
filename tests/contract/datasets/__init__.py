"""Datasets: one suite for all."""

import pytest

pytest.register_assert_rewrite("tests.contract.datasets.suite")

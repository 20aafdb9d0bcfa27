"""Answers are built from the serializers that document them."""

from types import SimpleNamespace

import pytest
from rest_framework import serializers

from saas.api.representation import represent, represent_all


class TeamShape(serializers.Serializer):
    id = serializers.CharField()


class PersonShape(serializers.Serializer):
    id = serializers.CharField(source="pk")
    team = TeamShape(allow_null=True)
    teams = TeamShape(many=True)
    city = serializers.CharField(source="address.city")


RED, BLUE = SimpleNamespace(id="red"), SimpleNamespace(id="blue")


def a_person(**changes):
    return SimpleNamespace(
        **{"pk": "p1", "team": RED, "teams": [RED, BLUE], "address": SimpleNamespace(city="Ulm")} | changes
    )


def test_fields_come_from_their_sources_in_the_order_of_the_serializer():
    shown = represent(PersonShape, a_person())

    assert shown == {"id": "p1", "team": {"id": "red"}, "teams": [{"id": "red"}, {"id": "blue"}], "city": "Ulm"}
    assert list(shown) == ["id", "team", "teams", "city"]


def test_a_given_value_replaces_the_attribute():
    assert represent(PersonShape, a_person(), city="Bonn", team={"id": "x"})["city"] == "Bonn"
    assert represent(TeamShape, None, id="given") == {"id": "given"}


def test_a_nested_none_stays_none():
    assert represent(PersonShape, a_person(team=None))["team"] is None


def test_many_rows_are_represented_one_by_one():
    assert represent_all(TeamShape, [RED, BLUE]) == [{"id": "red"}, {"id": "blue"}]


def test_a_field_that_nothing_fills_is_an_error():
    with pytest.raises(AttributeError):
        represent(TeamShape, SimpleNamespace())


def test_a_value_that_is_no_field_is_an_error():
    with pytest.raises(TypeError, match="TeamShape has no field nickname"):
        represent(TeamShape, RED, nickname="r")

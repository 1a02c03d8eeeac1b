"""Reading a dataset: what was uploaded is what comes back, whole, by pages, as a file and by URL."""


from tests.dataset.service.platform import CSV, Client


async def test_from_upload_to_export(user: Client) -> None:
    """A CSV file that is uploaded is ready when the call returns, and comes back as the same file."""
    dataset = await user.upload()
    assert (dataset.name, dataset.row_count, dataset.column_count) == ("people", 60, 4)
    assert {column.name: column.type for column in dataset.columns} == {
        "id": "identifier",
        "age": "integer",
        "city": "categorical",
        "joined": "date",
    }
    content, headers = await user.export(dataset.dataset_id)
    assert content == CSV
    assert headers["x-raw-body"] == "1"
    assert 'filename="people.csv"' in headers["content-disposition"]

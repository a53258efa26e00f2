"""Permissions: the principal's in QuickSight, and those of the role that runs the queries."""

from typing import Any

# QuickSight accepts only these sets of actions, each as a whole: an owner's.
OWN_DATA_SOURCE = (
    "DescribeDataSource",
    "DescribeDataSourcePermissions",
    "PassDataSource",
    "UpdateDataSource",
    "DeleteDataSource",
    "UpdateDataSourcePermissions",
)
OWN_DATA_SET = (
    "DescribeDataSet",
    "DescribeDataSetPermissions",
    "PassDataSet",
    "DescribeIngestion",
    "ListIngestions",
    "UpdateDataSet",
    "DeleteDataSet",
    "CreateIngestion",
    "CancelIngestion",
    "UpdateDataSetPermissions",
    # Of owners since refreshes have a schedule and properties of their own.
    "CreateRefreshSchedule",
    "DescribeRefreshSchedule",
    "ListRefreshSchedules",
    "UpdateRefreshSchedule",
    "DeleteRefreshSchedule",
    "PutDataSetRefreshProperties",
    "DescribeDataSetRefreshProperties",
    "DeleteDataSetRefreshProperties",
)
OWN_DASHBOARD = (
    "DescribeDashboard",
    "ListDashboardVersions",
    "UpdateDashboardPermissions",
    "QueryDashboard",
    "UpdateDashboard",
    "DeleteDashboard",
    "DescribeDashboardPermissions",
    "UpdateDashboardPublishedVersion",
)
OWN_THEME = (
    "DescribeTheme",
    "DescribeThemeAlias",
    "ListThemeAliases",
    "ListThemeVersions",
    "DeleteTheme",
    "UpdateTheme",
    "CreateThemeAlias",
    "DeleteThemeAlias",
    "UpdateThemeAlias",
    "UpdateThemePermissions",
    "DescribeThemePermissions",
)


def granted(actions: tuple[str, ...]) -> dict[str, Any]:
    """The principal's permission for one of the sets of actions."""
    return {
        "Principal": {"Ref": "PrincipalArn"},
        "Actions": [f"quicksight:{action}" for action in actions],
    }


def query_role() -> dict[str, Any]:
    """The role that the data source runs its queries as, in place of the account's own.

    It reads this dataset and nothing else, so that no bucket is opened to all of QuickSight.
    """
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "quicksight.amazonaws.com"},
        "Action": "sts:AssumeRole",
        # Otherwise a data source of another account could name this role, and the service would
        # read the dataset for it. Not by aws:SourceArn: which ARN it names is not documented.
        "Condition": {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
    }
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "Description": "Runs QuickSight's queries over the Choreo Insights data.",
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
        },
    }


def query_policy() -> dict[str, Any]:
    """The policy of the role."""
    return {
        "Type": "AWS::IAM::Policy",
        "Properties": {
            "PolicyName": "query",
            "Roles": [{"Ref": "QueryRole"}],
            "PolicyDocument": {"Version": "2012-10-17", "Statement": _statements()},
        },
    }


def _statements() -> list[dict[str, Any]]:
    return [
        _allow(
            "RunQueries",
            "athena:GetWorkGroup athena:StartQueryExecution athena:StopQueryExecution"
            " athena:GetQueryExecution athena:BatchGetQueryExecution athena:GetQueryResults"
            " athena:GetQueryResultsStream",
            _arn("athena", "workgroup/${WorkGroupName}"),
        ),
        _allow(
            "FindTables",
            "athena:GetDataCatalog athena:GetDatabase athena:GetTableMetadata"
            " athena:ListDatabases athena:ListTableMetadata",
            _arn("athena", "datacatalog/AwsDataCatalog"),
        ),
        _allow(
            "ReadCatalogue",
            "glue:GetDatabase glue:GetDatabases glue:GetTable glue:GetTables glue:GetPartition"
            " glue:GetPartitions glue:BatchGetPartition",
            _arn("glue", "catalog"),
            _arn("glue", "database/${DatabaseName}"),
            _arn("glue", "table/${DatabaseName}/*"),
        ),
        _allow(
            "SeeBuckets",
            "s3:GetBucketLocation s3:ListBucket s3:ListBucketMultipartUploads",
            _bucket("BucketName"),
            _bucket("ResultsBucketName"),
        ),
        # Lake Formation hands out the data that are registered with it by this alone; it knows no
        # resource. Where nothing is registered it gives nothing.
        {
            "Sid": "ReadRegisteredData",
            "Effect": "Allow",
            "Action": ["lakeformation:GetDataAccess"],
            "Resource": "*",
        },
        _allow("ReadDataset", "s3:GetObject", _bucket("BucketName", "/insights/*")),
        _allow(
            "WriteResults",
            "s3:GetObject s3:PutObject s3:AbortMultipartUpload s3:ListMultipartUploadParts",
            _bucket("ResultsBucketName", "/*"),
        ),
    ]


def _allow(sid: str, actions: str, *resources: dict[str, str]) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": actions.split(),
        "Resource": list(resources),
    }


def _arn(service: str, resource: str) -> dict[str, str]:
    return {
        "Fn::Sub": f"arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:"
        f"{resource}"
    }


def _bucket(parameter: str, path: str = "") -> dict[str, str]:
    return {"Fn::Sub": f"arn:${{AWS::Partition}}:s3:::${{{parameter}}}{path}"}

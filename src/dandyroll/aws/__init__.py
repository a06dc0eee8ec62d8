"""The AWS home: S3, DynamoDB, API Gateway, Lambda and Step Functions. `deploy/` puts it up."""

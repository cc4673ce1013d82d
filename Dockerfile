# The environment of the lock in an image; the study is mounted:
#   docker build -t soil-moisture .
#   docker run --rm -v "$PWD/study:/study" soil-moisture --cores 4 --directory /study
FROM python:3.12-slim
WORKDIR /workflow
COPY requirements.txt .
RUN pip install --no-cache-dir --require-hashes --no-deps -r requirements.txt
COPY . .
ENTRYPOINT ["snakemake"]
CMD ["--help"]

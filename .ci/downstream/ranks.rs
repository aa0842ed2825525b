use braintune_ranks::{Alone, RanksError, Ranks, Shard, share_out};

fn main() -> Result<(), RanksError> {
    let lengths = [3.0, 1.0];
    let pieces = share_out(&Alone, &lengths, |piece| Ok::<_, RanksError>(vec![piece as u8]))?;
    let shard: Shard = "2/2".parse()?;
    assert_eq!((pieces, shard.range(3)), (vec![vec![0], vec![1]], 2..3));
    Alone.barrier()
}
